// The desk works by keys: / goes to the search, Alt and a letter press the button with that data-key,
// arrows walk through the rows of a list marked data-listbox-rows, Enter follows the row's link as always.
// A search field names its list: <input data-find data-rows="found">, <tbody id="found" data-listbox-rows>.

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
  const { target, key } = event;
  if (event.altKey && !event.ctrlKey && !event.metaKey && /^Key[A-Z]$/.test(event.code)) {
    // Alt with a letter types a sign on some keyboards, so the key's place counts when its letter is no Latin one
    const letter = /^[a-z]$/i.test(key) ? key.toLowerCase() : event.code.slice(3).toLowerCase();
    const button = document.querySelector(`[data-key="${letter}"]:not(:disabled)`);
    if (button) {
      event.preventDefault();
      button.click();
    }
    return;
  }
  if (event.ctrlKey || event.metaKey || event.isComposing) return;
  if (key === "/" && !target.matches("input, textarea, select, [contenteditable]") && finder()) {
    event.preventDefault();
    finder().focus();
    finder().select();
    return;
  }
  walk(event);
});
