// The diary. Markup, words and the question before a move come from _diary.html; times are the hospital's wall clock.
import { Calendar } from "@fullcalendar/core";
import interaction from "@fullcalendar/interaction";
import list from "@fullcalendar/list";
import timeGrid from "@fullcalendar/timegrid";

const sprite = new URL(SPRITE, import.meta.url).href;
const phone = matchMedia("(max-width: 767.98px)");
const language = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang;
const views = () => ({ day: "timeGridDay", week: phone.matches ? "listWeek" : "timeGridWeek" });
const hour = (value) => `${String(value).padStart(2, "0")}:00`;

export function open() {
  for (const element of document.querySelectorAll("[data-diary]:not(.fc)")) start(element);
}

async function start(element) {
  const answer = await fetch(element.dataset.hours);
  const hours = answer.ok ? await answer.json() : [];
  const within = (selector) => element.closest("[data-diary-box]").querySelectorAll(selector);
  const days = new Set(hours.flatMap(({ daysOfWeek }) => daysOfWeek));
  const move = mover(element);

  const calendar = new Calendar(element, {
    plugins: [interaction, list, timeGrid],
    initialView: phone.matches ? views().day : views().week,
    initialDate: element.dataset.date || undefined,
    timeZone: element.dataset.zone || "local",
    now: () => clock(element.dataset.zone),
    locale: language, direction: document.documentElement.dir || "ltr", firstDay: Number(element.dataset.firstDay ?? 1),
    hiddenDays: days.size ? [0, 6].filter((day) => !days.has(day)) : [],
    businessHours: hours, ...span(hours),
    headerToolbar: false, height: "auto", expandRows: true, allDaySlot: false, nowIndicator: true,
    slotDuration: element.dataset.slot || "00:20", slotLabelInterval: "01:00",
    slotLabelFormat: { hour: "2-digit", minute: "2-digit", hour12: false },
    eventTimeFormat: { hour: "2-digit", minute: "2-digit", hour12: false },
    dayHeaderFormat: { weekday: "short", day: "numeric", month: "short" },
    titleFormat: { day: "numeric", month: "long" },
    views: { timeGridDay: { titleFormat: { weekday: "long", day: "numeric", month: "long" } } },
    listDayFormat: { weekday: "long", day: "numeric", month: "long" }, listDaySideFormat: false,
    noEventsContent: element.dataset.empty,
    editable: Boolean(element.dataset.moveUrl), eventInteractive: true,
    eventDataTransform: ({ editable, ...event }) => ({ ...event, startEditable: editable, durationEditable: false }), // moved, never stretched
    eventBackgroundColor: "transparent", eventContent: content,
    events: element.dataset.events,
    eventsSet: (events) => {
      const needed = span(hours, events); // a visit outside the hours must not hide
      for (const [edge, value] of Object.entries(needed)) if (calendar.getOption(edge) !== value) calendar.setOption(edge, value);
    },
    eventDidMount: ({ event, el }) => {
      el.dataset.id = event.id;
      if (event.startEditable !== false && element.dataset.moveUrl) el.setAttribute("aria-keyshortcuts", "m");
    },
    eventDrop: ({ event, oldEvent, revert }) => move(event, oldEvent.start, revert),
    datesSet: ({ view }) => {
      for (const title of within("[data-diary-title]")) title.textContent = view.title;
      for (const button of within("[data-diary-view]")) button.setAttribute("aria-pressed", String(views()[button.dataset.diaryView] === view.type));
    },
  });
  calendar.render();

  for (const button of within("[data-diary-go]")) button.addEventListener("click", () => calendar[button.dataset.diaryGo]());
  for (const button of within("[data-diary-view]")) button.addEventListener("click", () => calendar.changeView(views()[button.dataset.diaryView]));
  phone.addEventListener("change", () => calendar.changeView(phone.matches ? views().day : views().week));
  document.addEventListener("diary:refresh", () => calendar.refetchEvents());

  // the same move without a mouse: M on a visit asks for the new time
  element.addEventListener("keydown", (key) => {
    const event = key.key === "m" && calendar.getEventById(key.target.closest(".fc-event")?.dataset.id ?? "");
    if (event && event.startEditable !== false && element.dataset.moveUrl) move(event, event.start, () => {});
  });
}

/** The hours to draw: the working hours, widened to hold every event. */
function span(hours, events = []) {
  const opens = [...hours.map((h) => h.startTime), ...events.map(({ startStr }) => startStr.slice(11, 16))].filter(Boolean);
  const closes = [...hours.map((h) => h.endTime), ...events.map(({ endStr }) => endStr.slice(11, 16))].filter(Boolean);
  const first = opens.length ? Math.min(...opens.map((t) => parseInt(t, 10))) : 8;
  const last = closes.length ? Math.max(...closes.map((t) => parseInt(t, 10) + (t.slice(3, 5) > "00" ? 1 : 0))) : 18;
  return { slotMinTime: hour(first), slotMaxTime: hour(Math.max(last, first + 1)) };
}

/** The hospital's wall-clock time, as FullCalendar wants it. */
function clock(zone) {
  return new Date().toLocaleString("sv-SE", zone ? { timeZone: zone } : {}).replace(" ", "T");
}

function content({ event, view }) {
  const { tone = "", icon, word } = event.extendedProps;
  const box = document.createElement("span");
  box.className = "in-ev";
  box.dataset.tone = tone;
  if (icon) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    use.setAttribute("href", `${sprite}#${icon}`);
    svg.append(use);
    box.append(svg, " ");
  }
  if (tone !== "leave" && !view.type.startsWith("list")) {
    const time = document.createElement("b");
    time.textContent = event.startStr.slice(11, 16);
    box.append(time, " ");
  }
  box.append(event.title);
  if (word) {
    const spoken = document.createElement("span");
    spoken.className = "visually-hidden";
    spoken.textContent = `, ${word}`;
    box.append(spoken);
  }
  return { domNodes: [box] };
}

/** Asks before a move counts, sends it, and puts the event back when it is left or refused. */
function mover(element) {
  const dialog = document.getElementById(element.dataset.moveDialog ?? "");
  const form = dialog?.querySelector("form");
  const refusal = dialog?.querySelector("[data-refusal]");
  const day = new Intl.DateTimeFormat(language, {
    weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: element.dataset.zone ? "UTC" : undefined,
  });
  let asked = null;

  dialog?.addEventListener("close", () => {
    if (asked && !asked.done) asked.revert();
    asked = null;
  });

  form?.addEventListener("submit", async (submit) => {
    submit.preventDefault();
    if (!asked || asked.sent) return;
    const question = asked;
    question.sent = true;
    submit.submitter?.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(element.dataset.moveUrl.replace("{id}", question.event.id), {
        method: "POST", body: new URLSearchParams(new FormData(form, submit.submitter)),
        headers: { "HX-Request": "true", "X-CSRF-Token": document.querySelector('meta[name="csrf-token"]')?.content ?? "" },
      });
      const html = answer.headers.get("Content-Type")?.includes("text/html") ? await answer.text() : "";
      if (answer.ok) {
        question.done = true;
        dialog.close();
        tell(answer.headers.get("HX-Trigger"));
        document.dispatchEvent(new Event("diary:refresh"));
      } else refuse(html || document.getElementById("toasts").dataset.failed);
    } catch {
      refuse(document.getElementById("toasts").dataset.offline);
    }
    question.sent = false;
    submit.submitter?.removeAttribute("aria-busy");
  });

  function refuse(html) {
    refusal.innerHTML = html; // our own server's words; the policy lets no script in them run
  }

  return (event, from, revert) => {
    if (!dialog) return revert();
    asked = { event, revert };
    refusal.replaceChildren();
    dialog.querySelector("[data-who]").textContent = event.title;
    dialog.querySelector("[data-from]").textContent = day.format(from);
    form.elements.starts_at.value = event.startStr.slice(0, 16);
    dialog.showModal();
  };
}

function tell(header) {
  try {
    const { toast } = JSON.parse(header);
    if (toast) document.dispatchEvent(new CustomEvent("toast", { detail: toast }));
  } catch {
    // no toast was sent
  }
}
