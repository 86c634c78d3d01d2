// htmx: its settings, the CSRF header, and what a person sees when a request fails.
import htmx from "htmx.org";
import { toast } from "./toasts.js";

Object.assign(htmx.config, {
  allowEval: false,
  allowScriptTags: false,
  includeIndicatorStyles: false,
  historyCacheSize: 0, // pages hold what only this person may read: none is kept in the browser's storage
  refreshOnHistoryMiss: true,
  timeout: 30_000,
  responseHandling: [
    { code: "204", swap: false },
    { code: "[23]..", swap: true },
    { code: "4..", swap: true }, // a refusal is a page part like any other
    { code: "...", swap: false, error: true },
  ],
});

const csrf = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";
const words = () => document.getElementById("toasts")?.dataset ?? {};

document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRF-Token"] = csrf();
});

// Only HTML can stand in a page: a refusal in another form is told in a toast.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const html = detail.xhr.getResponseHeader("Content-Type")?.includes("text/html");
  if (detail.xhr.status >= 400 && detail.shouldSwap && !html) {
    detail.shouldSwap = false;
    toast({ text: words().failed, failed: true });
  }
});
document.addEventListener("htmx:responseError", () => toast({ text: words().failed, failed: true }));
for (const lost of ["htmx:sendError", "htmx:timeout"])
  document.addEventListener(lost, () => toast({ text: words().offline, failed: true }));
