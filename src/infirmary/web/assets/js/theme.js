// Runs in the head, before anything is painted: the chosen theme, or none, and then the system decides.
try {
  const theme = localStorage.getItem("theme");
  if (theme) document.documentElement.dataset.bsTheme = theme;
} catch {
  // storage may be closed to us; the system's theme is fine
}
