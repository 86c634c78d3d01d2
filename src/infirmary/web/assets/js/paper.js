// data-print: prints the page. data-copy="selector": copies its lines, and says so (data-done). Shown where script runs.
import { toast } from "./toasts.js";

const ready = () => document.querySelectorAll("[data-print], [data-copy]").forEach((button) => (button.hidden = false));
ready();
document.addEventListener("htmx:afterSettle", ready);

document.addEventListener("click", async ({ target }) => {
  const button = target.closest?.("[data-print], [data-copy]");
  if (!button) return;
  if ("print" in button.dataset) return print();
  const lines = [...document.querySelectorAll(`${button.dataset.copy} > *`)].map((one) => one.textContent.trim());
  await navigator.clipboard.writeText(lines.join("\n"));
  toast({ text: button.dataset.done });
});
