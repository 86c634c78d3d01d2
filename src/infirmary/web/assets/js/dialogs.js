// data-dialog="id" on a link or button opens that <dialog>; without this script the link leads to the same question.
import htmx from "htmx.org";

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  const dialog = opener && document.getElementById(opener.dataset.dialog);
  if (dialog) {
    event.preventDefault();
    dialog.showModal();
  }
  if (event.target.closest("[data-close]") || event.target.matches("dialog")) { // a dialog itself is hit only beside its content
    event.target.closest("dialog")?.close();
    event.preventDefault();
  }
});

// A dialog that arrives open, with the page or by htmx, becomes modal.
htmx.onLoad((part) => {
  for (const dialog of part.parentNode?.querySelectorAll("dialog[open]:not(:modal)") ?? []) {
    dialog.close();
    dialog.showModal();
  }
});
