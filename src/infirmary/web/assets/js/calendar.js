// The diary. Markup, words and the question before a move come from _diary.html; times are the hospital's wall clock.
import { Calendar } from "@fullcalendar/core";
import interaction from "@fullcalendar/interaction";
import list from "@fullcalendar/list";
import timeGrid from "@fullcalendar/timegrid";
import { moves, say } from "./moving.js";
import { listen } from "./stream.js";

const sprite = new URL(SPRITE, import.meta.url).href;
const phone = matchMedia("(max-width: 767.98px)");
const language = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang;
const views = () => ({ day: "timeGridDay", week: phone.matches ? "listWeek" : "timeGridWeek" });
const OWN_ECHO = 4_000;
const hour = (value) => `${String(value).padStart(2, "0")}:00`;

export function open() {
  for (const element of document.querySelectorAll("[data-diary]:not(.fc)")) start(element);
}

async function start(element) {
  const answer = await fetch(element.dataset.hours);
  const hours = answer.ok ? await answer.json() : [];
  const within = (selector) => element.closest("[data-diary-box]").querySelectorAll(selector);
  const days = new Set(hours.flatMap(({ daysOfWeek }) => daysOfWeek));
  let dragging = false;
  let stale = false; // something has changed under the hands of who moves a visit
  let wanted = null; // what to focus once it is drawn anew
  let heardOf = 0; // until when a change is one's own, which a toast has told
  let told = () => {};

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
    loading: (begun) => begun || drawn(),
    eventDidMount: ({ event, el }) => {
      el.dataset.id = event.id;
      if (event.startEditable !== false && element.dataset.moveUrl) el.setAttribute("aria-keyshortcuts", "m ArrowUp ArrowDown ArrowLeft ArrowRight");
      if (el.classList.contains("in-moving")) { // a screen reader hands the arrow keys over
        el.setAttribute("role", "application");
        el.setAttribute("tabindex", "0");
      }
    },
    eventDragStart: () => { dragging = true; },
    eventDragStop: () => { dragging = false; if (stale) refresh(); },
    eventDrop: (drop) => moving.dropped(drop),
    datesSet: ({ view }) => {
      follow(view);
      for (const title of within("[data-diary-title]")) title.textContent = view.title;
      for (const button of within("[data-diary-view]")) button.setAttribute("aria-pressed", String(views()[button.dataset.diaryView] === view.type));
    },
  });
  const moving = moves(element, calendar, language);
  calendar.render();

  for (const button of within("[data-diary-go]")) button.addEventListener("click", () => calendar[button.dataset.diaryGo]());
  for (const button of within("[data-diary-view]")) button.addEventListener("click", () => calendar.changeView(views()[button.dataset.diaryView]));
  phone.addEventListener("change", () => calendar.changeView(phone.matches ? views().day : views().week));
  document.addEventListener("diary:refresh", ({ detail }) => refresh(detail));

  function refresh(moved) {
    stale = moving.busy() || dragging;
    if (stale) return;
    if (moved) heardOf = Date.now() + OWN_ECHO;
    wanted = moved ?? document.activeElement.closest("[data-diary] .fc-event")?.dataset.id ?? wanted;
    calendar.refetchEvents();
  }

  function drawn() {
    const id = wanted;
    wanted = null;
    if (id) requestAnimationFrame(() => element.querySelector(`[data-id="${CSS.escape(id)}"]`)?.focus());
  }

  function follow({ activeStart, activeEnd }) {
    told();
    const { diaryStream, changed } = element.dataset;
    const heard = () => {
      refresh();
      if (Date.now() > heardOf) say(changed);
    };
    if (diaryStream) told = listen(`${diaryStream}&start=${wall(activeStart)}&end=${wall(activeEnd)}`, { diary: heard }, refresh);
  }
}

const wall = (date) => date.toISOString().slice(0, 19);

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
  const { tone = "", icon, word, over } = event.extendedProps;
  if (event.display === "background") return {};
  const box = document.createElement("span");
  box.className = "in-ev";
  box.dataset.tone = tone;
  if (over) box.dataset.over = "";
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
