// A time that is held: counts down from data-hold (seconds), says aloud when a minute is left and when it is over, and
// then shows the way to hold it again. Without a script the page names the time it is held until.
for (const box of document.querySelectorAll("[data-hold]")) {
  const over = Date.now() + Number(box.dataset.hold) * 1000; // this computer's clock may be wrong, but it runs as fast
  const [runs, left, bar, says, after] = ["[data-hold-runs]", "[data-hold-left]", "progress", "[data-hold-says]", "[data-hold-over]"]
    .map((part) => box.querySelector(part));
  const tell = (words) => {
    if (says.textContent !== words) says.textContent = words;
  };
  left.hidden = bar.hidden = false;

  const tick = () => {
    const seconds = Math.max(0, Math.ceil((over - Date.now()) / 1000));
    left.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    bar.value = seconds;
    if (seconds && seconds <= 60) tell(says.dataset.soon);
    if (seconds) return;
    clearInterval(timer);
    runs.hidden = true;
    after.hidden = false;
    tell(says.dataset.over);
  };
  const timer = setInterval(tick, 1000);
  tick();
}
