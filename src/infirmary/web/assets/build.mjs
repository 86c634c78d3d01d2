// Makes ../static from npm packages and the files beside this one. Run by build.py, or: node build.mjs
import crypto from "node:crypto";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import zlib from "node:zlib";
import esbuild from "esbuild";
import { transform } from "lightningcss";
import { PurgeCSS } from "purgecss";
import * as sass from "sass";

const here = path.dirname(fileURLToPath(import.meta.url));
const web = path.dirname(here);
const finished = path.join(web, "static");
const out = path.join(here, "node_modules/.static"); // takes the place of the old one when all of it is there
const npm = (file) => path.join(here, "node_modules", file);
const read = (file) => fs.readFileSync(file, "utf8");
const browsers = { chrome: 123 << 16, firefox: 120 << 16, safari: (17 << 16) | (5 << 8) }; // the first with light-dark()

const manifest = {};
const sizes = [];

fs.rmSync(out, { recursive: true, force: true });
fs.mkdirSync(path.join(out, "fonts"), { recursive: true });

/** Writes one file and remembers its hash; returns the address other files use for it. */
function write(name, data) {
  const bytes = Buffer.from(data);
  fs.writeFileSync(path.join(out, name), bytes);
  manifest[name] = crypto.createHash("sha256").update(bytes).digest("hex").slice(0, 10);
  sizes.push([name, bytes.length, name.endsWith("woff2") ? null : zlib.gzipSync(bytes, { level: 9 }).length]);
  return `${name}?v=${manifest[name]}`;
}

function files(folder, ending) {
  if (!fs.existsSync(folder)) return [];
  return fs.readdirSync(folder, { recursive: true }).filter((f) => f.endsWith(ending)).map((f) => path.join(folder, f))
    .filter((f) => !f.includes("node_modules"));
}

const pages = files(path.join(web, "templates"), ".html");
const python = files(web, ".py");
const modules = files(path.join(here, "js"), ".js");
const sources = [...pages, ...python, ...modules];

// 1. One sprite of the icons in use. A name counts where it is written icon("bell"), icon="bell", "icon": "bell",
//    ("bell", _("…")), empty("bell", …), Tab("/…", "bell", …), icons.svg#bell, or in a comment such as  icons: bell moon
function iconsInUse() {
  const names = new Map(); // and where each was seen first
  const one = /(?:icons\.svg#|\b(?:empty|notice)\(\s*["']|\bicon["']?\s*[(:=]\s*["'])([a-z][a-z0-9-]*)/g;
  const tuple = /(?<!\w)\(\s*["']([a-z][a-z0-9-]*)["'],\s*_\(/g;
  const tab = /\bTab\(\s*"[^"]*",\s*"([a-z][a-z0-9-]*)"/g;
  const list = /#\s*icons: ([a-z0-9 -]+)/g;
  for (const file of sources) {
    const text = read(file);
    const found = [one, tuple, tab].flatMap((written) => [...text.matchAll(written)].map(([, name]) => name));
    for (const [, several] of text.matchAll(list)) found.push(...several.trim().split(/\s+/));
    for (const name of found) if (!names.has(name)) names.set(name, file);
  }
  return [...names].sort();
}

function symbol([name, where]) {
  const file = npm(`@tabler/icons/icons/outline/${name}.svg`);
  if (!fs.existsSync(file)) throw new Error(`${path.relative(web, where)} names an icon that @tabler/icons has not: ${name}`);
  const inner = read(file).replace(/<!--[\s\S]*?-->/g, "").replace(/^[\s\S]*?<svg[^>]*>/, "").replace("</svg>", "");
  return `<symbol id="${name}" viewBox="0 0 24 24">${inner.replace(/\s+/g, " ").trim()}</symbol>`;
}

const icons = iconsInUse();
const sprite = write("icons.svg", `<svg xmlns="http://www.w3.org/2000/svg">${icons.map(symbol).join("")}</svg>`);

// 2. Fonts and the mark
const fonts = Object.fromEntries([
  ...["latin", "latin-ext", "vietnamese", "cyrillic"].map((s) => [`fonts/plex-${s}.woff2`, `@fontsource-variable/ibm-plex-sans/files/ibm-plex-sans-${s}-wght-normal.woff2`]),
  ...["400", "600"].map((w) => [`fonts/plex-arabic-${w}.woff2`, `@fontsource/ibm-plex-sans-arabic/files/ibm-plex-sans-arabic-arabic-${w}-normal.woff2`]),
].map(([name, file]) => [name, write(name, fs.readFileSync(npm(file)))]));
write("mark.svg", read(path.join(here, "mark.svg")));

// 3. One style sheet: Tabler purged against the pages, then tokens and components
async function tabler() {
  const parts = sass.compile(path.join(here, "tabler-parts.scss"), {
    loadPaths: [npm("@tabler/core/scss")], quietDeps: true, silenceDeprecations: ["import"],
  }).css.replace(/(?<![\w-])--(?!tblr-)(?=[a-z])/g, "--tblr-"); // Tabler's own build adds this prefix after Sass
  const [{ css }] = await new PurgeCSS().purge({
    content: sources, css: [{ raw: parts }], variables: true, keyframes: true,
    safelist: { standard: ["disabled", "is-invalid", "htmx-request", "htmx-swapping"], greedy: [/data-bs-theme/, /dir/] },
    dynamicAttributes: ["data-bs-theme", "dir", "aria-selected", "aria-current", "open"],
  });
  return css;
}

const ours = ["tokens.css", "components.css"].map((f) => read(path.join(here, f))).join("\n")
  .replace(/url\("(fonts\/[^"]+)"\)/g, (_, name) => `url("${fonts[name]}")`);
const css = transform({ filename: "infirmary.css", code: Buffer.from(`${await tabler()}\n${ours}`), minify: true, targets: browsers });
write("infirmary.css", css.code);

// 4. Scripts. The large ones are imported by infirmary.js only where a page has a chart, a diary or a video room.
async function bundle(entry, options = {}) {
  const made = await esbuild.build({
    entryPoints: [path.join(here, "js", entry)], bundle: true, minify: true, format: "esm", target: "es2022",
    legalComments: "none", write: false, ...options,
  });
  return write(entry, made.outputFiles[0].contents);
}

const chart = await bundle("chart.js");
const calendar = await bundle("calendar.js", { define: { SPRITE: JSON.stringify(sprite) } });
const video = await bundle("video.js");
await bundle("theme.js", { format: "iife" });
await bundle("infirmary.js", {
  define: { CHART: JSON.stringify(`./${chart}`), CALENDAR: JSON.stringify(`./${calendar}`), VIDEO: JSON.stringify(`./${video}`) },
  external: ["./chart.js?*", "./calendar.js?*", "./video.js?*"],
});

// 5. What pages ask for by name, and what tests need but nobody is served
fs.writeFileSync(path.join(out, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
fs.rmSync(finished, { recursive: true, force: true });
fs.renameSync(out, finished);
const repository = path.resolve(web, "../../..");
if (fs.existsSync(path.join(repository, "pyproject.toml"))) {
  fs.mkdirSync(path.join(repository, "build"), { recursive: true });
  fs.copyFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), path.join(repository, "build/axe.min.js"));
}

for (const [name, bytes, gzip] of sizes)
  console.log(name.padEnd(32), String(bytes).padStart(8), "B", gzip ? `${String(gzip).padStart(7)} B gzip` : "");
console.log(`${icons.length} icons`);
