// One sentence when something is done, with Undo where there is one. The server sends
// HX-Trigger: {"toast": {"text": "…", "undo": "/address" or null}}, or renders the toast into the page.
const SHORT = 8_000;
const LONG = 20_000; // time to read, decide and reach Undo

const region = () => document.getElementById("toasts");

export function announce(text) {
  const live = document.getElementById("announce");
  if (live && text) live.textContent = text;
}

export function toast({ text, undo, failed }) {
  const template = document.getElementById(failed ? "toast-failed" : "toast");
  if (!text || !template || (failed && document.querySelector("[data-unattended]"))) return; // nobody is there to act on it
  const made = template.content.firstElementChild.cloneNode(true);
  made.querySelector("[data-text]").textContent = text;
  const form = made.querySelector("form");
  if (undo) form.action = undo;
  else form?.remove();
  region().append(made);
  leaveLater(made);
}

function leaveLater(shown) {
  setTimeout(() => {
    if (shown.matches(":hover, :focus-within")) leaveLater(shown);
    else shown.remove();
  }, shown.querySelector("form") ? LONG : SHORT);
}

document.addEventListener("toast", (event) => toast(event.detail));
document.addEventListener("click", (event) => event.target.closest("[data-toast-close]")?.closest(".in-toast").remove());

// Toasts that came with the page were there before the region could speak.
const came = [...document.querySelectorAll("#toasts .in-toast")];
came.forEach(leaveLater);
announce(came.map((shown) => shown.querySelector("[data-text]").textContent).join(" "));
