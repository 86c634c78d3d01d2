// One stream of events per page, on the element with data-stream. An event named in its data-live ("notification"
// when nothing is said) becomes live:<name> on the body, so any part refreshes itself by
// hx-trigger="live:notification from:body"; its text is read out politely.
import htmx from "htmx.org";
import { announce } from "./toasts.js";

const AWAY = 30_000; // a browser opens few streams to one host: a page nobody looks at gives its own back
let source = null;
let wait = 1_000;
let missed = false;
let leaving;

const station = () => document.querySelector("[data-stream]");
const names = () => (station()?.dataset.live ?? "notification").split(" ");

function close() {
  source?.close();
  source = null;
}

function open() {
  const element = station();
  if (!element || source || document.hidden) return;
  source = new EventSource(element.dataset.stream);
  source.addEventListener("open", () => {
    wait = 1_000;
    if (missed) names().forEach((name) => htmx.trigger(document.body, `live:${name}`));
    missed = false;
  });
  for (const name of names())
    source.addEventListener(name, ({ data }) => {
      announce(text(data));
      htmx.trigger(document.body, `live:${name}`);
    });
  source.addEventListener("error", () => {
    missed = true;
    if (source?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    close();
    setTimeout(open, wait);
    wait = Math.min(wait * 2, 60_000);
  });
}

function text(data) {
  try {
    return JSON.parse(data).title ?? "";
  } catch {
    return data;
  }
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(leaving);
  if (!document.hidden) open();
  else leaving = setTimeout(() => { close(); missed = true; }, AWAY);
});
addEventListener("pagehide", close);
addEventListener("pageshow", open);
