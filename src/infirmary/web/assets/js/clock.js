// The hospital's time in the top bar: counts on from what the server said, whatever this computer's own zone is.
const clock = document.querySelector("[data-clock]");

if (clock && /^\d\d:\d\d$/.test(clock.textContent)) {
  const loaded = Date.now();
  const [, date, time] = clock.dateTime.match(/^([\d-]+)[T ](\d\d:\d\d:\d\d)/);
  const server = Date.parse(`${date}T${time}Z`); // wall-clock time, read as if it were UTC
  setInterval(() => {
    const now = new Date(server + Date.now() - loaded).toISOString();
    clock.textContent = now.slice(11, 16);
    if (now.slice(0, 10) !== date) clock.nextElementSibling?.remove(); // after midnight yesterday's date would be a lie
  }, 10_000);
}
