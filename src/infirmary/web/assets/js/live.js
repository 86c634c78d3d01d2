// The stream of a page, on the element with data-stream. An event named in its data-live ("notification" when nothing
// is said) becomes live:<name> on the body, so any part refreshes itself by hx-trigger="live:notification from:body";
// its text is read out politely.
import htmx from "htmx.org";
import { listen } from "./stream.js";
import { announce } from "./toasts.js";

const station = document.querySelector("[data-stream]");
const names = (station?.dataset.live ?? "notification").split(" ");
const happens = (name) => htmx.trigger(document.body, `live:${name}`);

function text(data) {
  try {
    return JSON.parse(data).title ?? "";
  } catch {
    return data;
  }
}

if (station)
  listen(station.dataset.stream, Object.fromEntries(names.map((name) => [name, (data) => {
    announce(text(data));
    happens(name);
  }])), () => names.forEach(happens));
