// data-once: a form is sent once, its button says that it is busy. data-autosubmit: a change sends the form.
// data-chosen="name": repeats the label of the chosen radio button of that name. Ctrl Enter sends the form one is in.

function free(form) {
  delete form.dataset.sent;
  for (const button of form.querySelectorAll("[aria-busy]")) {
    button.disabled = false;
    button.removeAttribute("aria-busy");
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-once]")) return;
  if ("sent" in form.dataset) {
    event.preventDefault();
    event.stopImmediatePropagation();
    return;
  }
  form.dataset.sent = "";
  const button = event.submitter ?? form.querySelector('[type="submit"]');
  setTimeout(() => { // after the form is read: a disabled button would not send its own name
    button?.setAttribute("aria-busy", "true");
    if (button) button.disabled = true;
  });
}, true);

document.addEventListener("htmx:afterRequest", ({ target }) => target.matches?.("form[data-once]") && free(target));
addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach(free)); // came back by the back button

document.addEventListener("change", ({ target }) => {
  if (target.closest("[data-autosubmit]")) target.form?.requestSubmit();
  if (target.matches('input[type="radio"]'))
    for (const echo of document.querySelectorAll(`[data-chosen="${CSS.escape(target.name)}"]`)) echo.textContent = target.dataset.says;
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  const form = event.target.form;
  if (form) {
    event.preventDefault();
    form.requestSubmit();
  }
});
