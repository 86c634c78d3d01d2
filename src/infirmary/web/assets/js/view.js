// data-in-view: the chosen day of a strip is scrolled to, without moving the page.
import htmx from "htmx.org";

htmx.onLoad((part) => {
  for (const chosen of part.querySelectorAll("[data-in-view]")) {
    const strip = chosen.parentElement;
    const { left, width } = chosen.getBoundingClientRect();
    strip.scrollLeft += left + width / 2 - strip.getBoundingClientRect().left - strip.clientWidth / 2;
  }
});
