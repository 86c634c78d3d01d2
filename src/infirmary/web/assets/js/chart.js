// Charts read the table beside them: one source, readable without the picture.
// <figure data-chart="line|bar" data-table="id" data-unit data-min data-max data-step data-points data-last>; a column's
// <th> may have data-kind, data-c="1|2|3" (colour), data-dash, data-fill="band"; a cell may have data-value.
import { BarController, BarElement, CategoryScale, Chart, Filler, LinearScale, LineController, LineElement, PointElement, Tooltip } from "chart.js";

Chart.register(BarController, BarElement, CategoryScale, Filler, LinearScale, LineController, LineElement, PointElement, Tooltip);

const root = document.documentElement;
const drawn = new Map();

function colour(token) {
  const probe = document.createElement("i"); // light-dark() is resolved only on an element
  probe.style.color = `var(${token})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function number(cell) {
  const text = cell.dataset.value ?? cell.textContent.replace("−", "-").replace(/[^\d.-]/g, "");
  return /\d/.test(text) ? Number(text) : null;
}

function series(figure, table, palette) {
  const rows = [...table.tBodies[0].rows];
  return [...table.tHead.rows[0].cells].slice(1).map((head, i) => {
    const kind = head.dataset.kind ?? figure.dataset.chart;
    const line = palette.lines[(head.dataset.c ?? i + 1) - 1];
    const band = head.dataset.fill === "band";
    const bars = figure.dataset.last ? rows.map((_, n) => palette.lines[n === rows.length - 1 ? 0 : 1]) : line;
    return {
      label: head.textContent, data: rows.map((row) => number(row.cells[i + 1])), type: kind, order: kind === "line" ? 0 : 1,
      backgroundColor: band ? palette.band : bars, borderColor: line, borderWidth: kind === "line" && !band ? 2 : 0,
      borderDash: head.dataset.dash ? [3, 3] : [], borderRadius: 2, maxBarThickness: 18, fill: band ? "-1" : false,
      pointRadius: figure.dataset.points ? 3 : 0, pointHoverRadius: 4, tension: 0.25,
    };
  });
}

function options({ unit = "", min, max, step }, palette) {
  const rtl = root.dir === "rtl";
  const sign = (value) => value.toLocaleString(root.lang === "en" ? "en-GB" : root.lang) + unit;
  return {
    animation: false, maintainAspectRatio: false, interaction: { mode: "index", intersect: false },
    plugins: { tooltip: {
      backgroundColor: palette.ink, titleColor: palette.canvas, bodyColor: palette.canvas, displayColors: false, padding: 8, cornerRadius: 4,
    } },
    scales: {
      x: { grid: { display: false }, border: { color: palette.grid }, ticks: { maxRotation: 0, autoSkipPadding: 12 }, reverse: rtl },
      y: {
        beginAtZero: !min, min: min && Number(min), max: max && Number(max), position: rtl ? "right" : "left",
        border: { display: false }, grid: { color: palette.grid },
        ticks: { maxTicksLimit: 6, stepSize: step && Number(step), callback: sign },
      },
    },
  };
}

export async function draw() {
  await document.fonts.ready;
  const palette = {
    ink: colour("--in-ink"), canvas: colour("--in-canvas"), grid: colour("--in-chart-grid"), band: colour("--in-chart-band"),
    lines: [1, 2, 3].map((n) => colour(`--in-chart-${n}`)),
  };
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.size = 12;
  Chart.defaults.color = colour("--in-ink-2");
  for (const [figure, chart] of drawn) {
    chart.destroy();
    drawn.delete(figure);
  }
  for (const figure of document.querySelectorAll("figure[data-chart]")) {
    const table = document.getElementById(figure.dataset.table);
    const labels = [...table.tBodies[0].rows].map((row) => row.cells[0].textContent);
    drawn.set(figure, new Chart(figure.querySelector("canvas"), {
      type: figure.dataset.chart, data: { labels, datasets: series(figure, table, palette) }, options: options(figure.dataset, palette),
    }));
  }
}

document.addEventListener("theme", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
