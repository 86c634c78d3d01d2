// Charts, diaries and video rooms are fetched only by pages that have one.
import htmx from "htmx.org";

htmx.onLoad((part) => {
  const within = part.parentNode ?? part;
  if (within.querySelector("figure[data-chart]")) import(CHART).then(({ draw }) => draw());
  if (within.querySelector("[data-diary]")) import(CALENDAR).then(({ open }) => open());
  if (within.querySelector("[data-video]")) import(VIDEO).then(({ open }) => open());
});
