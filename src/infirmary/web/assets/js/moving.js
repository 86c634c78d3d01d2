// A visit of the diary at another time: dragged and confirmed, written in a dialog, or moved by keys. Every way ends in
// the same request; who is refused keeps the place and what was chosen, and reads why and what is free instead.
const GHOST = "moving";
const MINUTE = 60_000;

/** Answers {dropped, busy}: what to do when a visit was dragged, and whether somebody is in the middle of a move. */
export function moves(element, calendar, language) {
  const dialog = document.getElementById(element.dataset.moveDialog ?? "");
  if (!dialog) return { dropped: ({ revert }) => revert(), busy: () => false };
  const form = dialog.querySelector("form");
  const refusal = dialog.querySelector("[data-refusal]");
  const words = element.dataset;
  const moment = new Intl.DateTimeFormat(language, { weekday: "long", day: "numeric", month: "long", hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
  let asked = null; // in the dialog: {event, revert, done, sent}
  let held = null; // the visit that is moved by keys, as it was
  let sending = false;

  // --- the request -----------------------------------------------------------------------------------------------------

  /** Nothing when it is done, else the server's words. */
  async function send(event, body) {
    try {
      const answer = await fetch(words.moveUrl.replace("{id}", event.id), {
        method: "POST", body,
        headers: { "HX-Request": "true", "X-CSRF-Token": document.querySelector('meta[name="csrf-token"]')?.content ?? "" },
      });
      if (!answer.ok) return (answer.headers.get("Content-Type")?.includes("text/html") && await answer.text()) || document.getElementById("toasts").dataset.failed;
      tell(answer.headers.get("HX-Trigger"));
    } catch {
      return document.getElementById("toasts").dataset.offline;
    }
  }

  // --- asked in a dialog -----------------------------------------------------------------------------------------------

  dialog.addEventListener("close", () => {
    if (!asked) return;
    const { event, revert, done } = asked;
    asked = null;
    if (!done) revert();
    if (held) leave();
    else refresh(event); // also when it was refused: perhaps for being old
  });

  form.addEventListener("submit", async (submit) => {
    submit.preventDefault();
    if (!asked || asked.sent) return;
    const question = asked;
    question.sent = true;
    submit.submitter?.setAttribute("aria-busy", "true");
    const refused = await send(question.event, new URLSearchParams(new FormData(form, submit.submitter)));
    if (refused) refusal.innerHTML = refused; // our own server's words; the policy lets no script in them run
    else {
      question.done = true;
      dialog.close();
    }
    question.sent = false;
    submit.submitter?.removeAttribute("aria-busy");
  });

  function ask(event, from, to, revert, refused = "") {
    asked = { event, revert };
    refusal.innerHTML = refused;
    dialog.querySelector("[data-who]").textContent = event.title;
    dialog.querySelector("[data-from]").textContent = moment.format(from);
    form.elements.starts_at.value = to.slice(0, 16);
    form.elements.version.value = event.extendedProps.version;
    dialog.showModal();
  }

  // --- moved by keys ---------------------------------------------------------------------------------------------------

  const shape = () => calendar.getEventById(GHOST);
  const movable = (target) => {
    const event = calendar.getEventById(target.closest?.(".fc-event")?.dataset.id ?? "");
    return event && event.startEditable !== false ? event : null;
  };

  /** How far a key goes, in minutes; a day is as long as the clock's. */
  function step({ key, shiftKey }) {
    const [hours, minutes] = words.slot.split(":").map(Number);
    const aside = document.documentElement.dir === "rtl" ? -1 : 1;
    return { ArrowUp: -1, ArrowDown: 1 }[key] * (shiftKey ? 5 : hours * 60 + minutes) || { ArrowLeft: -1, ArrowRight: 1 }[key] * aside * 1440 || 0;
  }

  function move(minutes) {
    const ghost = shape();
    const lasts = ghost.end - ghost.start;
    let to = new Date(+ghost.start + minutes * MINUTE);
    while (Math.abs(minutes) === 1440 && calendar.getOption("hiddenDays").includes(to.getUTCDay())) to = new Date(+to + minutes * MINUTE);
    ghost.setDates(to, new Date(+to + lasts));
    if (to < calendar.view.activeStart || to >= calendar.view.activeEnd) calendar.gotoDate(to);
    requestAnimationFrame(() => {
      element.querySelector(`[data-id="${GHOST}"]`)?.focus();
      say([moment.format(to), taken() && words.taken].filter(Boolean).join(", "));
    });
  }

  function taken() {
    const ghost = shape();
    return calendar.getEvents().some((other) => ![GHOST, held.id].includes(other.id) && other.extendedProps.tone !== "free"
      && other.display !== "background" && other.start < ghost.end && other.end > ghost.start);
  }

  function take(event) {
    const { title, startStr: start, endStr: end, extendedProps } = event;
    held = { id: event.id, title, start: event.start, extendedProps };
    event.setProp("classNames", ["in-from"]);
    calendar.addEvent({ id: GHOST, title, start, end, classNames: ["in-moving"], editable: true, extendedProps: { ...extendedProps, word: words.moving } });
  }

  function leave() {
    const event = held;
    held = null;
    shape().remove();
    calendar.getEventById(event.id)?.setProp("classNames", []);
    refresh(event);
  }

  async function confirm() {
    if (sending) return;
    sending = true;
    const event = held;
    const ghost = shape();
    const body = new URLSearchParams({ starts_at: ghost.startStr.slice(0, 16), version: event.extendedProps.version });
    const refused = await send(event, body);
    sending = false;
    if (refused) return ask(event, event.start, ghost.startStr, () => {}, refused);
    calendar.getEventById(event.id)?.setDates(ghost.start, ghost.end);
    leave();
  }

  document.addEventListener("keydown", (key) => {
    if (!held || dialog.open || key.ctrlKey || key.altKey || key.metaKey) return;
    const minutes = step(key);
    if (minutes) move(minutes);
    else if (key.key === "Enter") confirm();
    else if (key.key === "Escape" || key.key === "Tab") {
      leave();
      say(words.left);
    } else return;
    key.preventDefault();
    key.stopPropagation();
  }, true);
  document.addEventListener("pointerdown", () => held && !dialog.open && leave(), true);

  element.addEventListener("keydown", (key) => {
    if (held || key.ctrlKey || key.altKey || key.metaKey) return;
    const event = movable(key.target);
    const minutes = event && calendar.view.type.startsWith("timeGrid") && step(key);
    if (minutes) {
      key.preventDefault();
      key.stopPropagation();
      take(event);
      move(minutes);
    } else if (event && key.key === "m") ask(event, event.start, event.startStr, () => {});
  });

  return {
    dropped: ({ event, oldEvent, revert }) => ask(event, oldEvent.start, event.startStr, revert),
    busy: () => Boolean(asked || held),
  };
}

function refresh({ id }) {
  document.dispatchEvent(new CustomEvent("diary:refresh", { detail: id }));
}

export function say(text) {
  document.getElementById("announce").textContent = text;
}

function tell(header) {
  try {
    const { toast } = JSON.parse(header);
    if (toast) document.dispatchEvent(new CustomEvent("toast", { detail: toast }));
  } catch {
    // no toast was sent
  }
}
