// The desk works by keys: / goes to the search, ? lists the keys, Alt and a letter press the button with that data-key,
// arrows walk through the rows of a list marked data-listbox-rows, Enter follows the row's link as always.
// Keys without Alt or Ctrl can be switched off (WCAG 2.1.4), by the box with data-single-keys, for this browser.
// A search field names its list: <input data-find data-rows="found">, <tbody id="found" data-listbox-rows>.

const SINGLE = "single-keys";
const root = document.documentElement;

try {
  if (localStorage.getItem(SINGLE) === "off") root.dataset.singleKeys = "off";
} catch {
  // storage may be closed to us; then they work
}
for (const box of document.querySelectorAll("[data-single-keys]")) if (box !== root) box.checked = root.dataset.singleKeys !== "off";

document.addEventListener("change", ({ target }) => {
  if (!target.matches("input[data-single-keys]")) return;
  root.dataset.singleKeys = target.checked ? "on" : "off";
  try {
    localStorage.setItem(SINGLE, root.dataset.singleKeys);
  } catch {
    // then it holds for this page
  }
});

/** Whether this key, pressed alone, is a command here. */
const alone = (event, key) => event.key === key && root.dataset.singleKeys !== "off"
  && (event.target.matches("[data-find]") ? key === "?" && !event.target.value // no search begins with it
    : !event.target.matches("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]"));

const finder = () => document.querySelector("[data-find]");
const links = (list) => [...list.querySelectorAll("a[href], button")].filter((link, i, all) =>
  all.findIndex((other) => row(other) === row(link)) === i); // the first of each row
const row = (link) => link.closest("tr, li") ?? link;

function walk(event) {
  const { target, key } = event;
  const step = { ArrowDown: 1, ArrowUp: -1 }[key];
  const list = target.closest("[data-listbox-rows]") ?? document.getElementById(target.dataset?.rows ?? "");
  if (!list) return;
  const all = links(list);
  const here = all.findIndex((link) => row(link).contains(target));
  if (step) {
    const next = here + step;
    if (next < 0 && here < 0) return;
    event.preventDefault();
    (next < 0 ? document.querySelector(`[data-rows="${list.id}"]`) ?? all[0] : all[Math.min(next, all.length - 1)])?.focus();
  } else if (here >= 0 && key.length === 1 && key !== " ") {
    document.querySelector(`[data-rows="${list.id}"]`)?.focus(); // typing on goes on searching
  }
}

document.addEventListener("keydown", (event) => {
  const { key } = event;
  if (event.altKey && !event.ctrlKey && !event.metaKey && /^Key[A-Z]$/.test(event.code)) {
    // Alt with a letter types a sign on some keyboards, so the key's place counts when its letter is no Latin one
    const letter = /^[a-z]$/i.test(key) ? key.toLowerCase() : event.code.slice(3).toLowerCase();
    const pressed = `[data-key="${letter}"]:not(:disabled)`; // what the page itself has is meant before where the menu leads
    const button = document.querySelector(`main ${pressed}`) ?? document.querySelector(pressed);
    if (button) {
      event.preventDefault();
      button.click();
    }
    return;
  }
  if (event.ctrlKey || event.metaKey || event.isComposing) return;
  if (alone(event, "/") && finder()) {
    event.preventDefault();
    finder().focus();
    finder().select();
    return;
  }
  const sheet = document.getElementById("keys");
  if (alone(event, "?") && sheet && !document.querySelector("dialog:modal")) {
    event.preventDefault();
    sheet.showModal();
    return;
  }
  walk(event);
});
