// What is called is said: when data-call changes, the words in [data-say] go to the polite live region, and aloud where somebody has pressed
// [data-aloud] (browsers let nothing speak before). A page that nobody tends ([data-unattended]) asks for its part again
// every minute, says when it has heard nothing for three, and begins anew once a day.
import htmx from "htmx.org";
import { announce } from "./toasts.js";

const MINUTE = 60_000;
const loaded = Date.now();
let heard = Date.now();
let said = document.querySelector("[data-say]")?.dataset.call;
let aloud = false;

function speak(text) {
  const words = new SpeechSynthesisUtterance(text);
  words.lang = document.documentElement.lang;
  speechSynthesis.speak(words);
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest?.("[data-aloud]");
  if (!button) return;
  aloud = !aloud;
  button.setAttribute("aria-pressed", String(aloud));
  if (aloud) speak(button.dataset.aloud);
});

document.addEventListener("htmx:afterSettle", () => {
  const now = document.querySelector("[data-say]");
  if (!now) return;
  heard = Date.now();
  if (now.dataset.say && now.dataset.call !== said) {
    announce(now.dataset.say);
    if (aloud) speak(now.dataset.say);
  }
  said = now.dataset.call;
});

document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.status !== 404 || !event.detail.target.matches("[data-say]")) return;
  event.detail.shouldSwap = false; // the link has ended: the page itself says so
  location.reload();
});

const screen = document.querySelector("[data-unattended]");
if (screen)
  setInterval(() => {
    screen.querySelector("[data-stale]").hidden = Date.now() - heard < 3 * MINUTE;
    if (Date.now() - loaded > 1440 * MINUTE && Date.now() - heard < MINUTE * 2) location.reload();
    else htmx.trigger(document.body, "live:queue");
  }, MINUTE);
