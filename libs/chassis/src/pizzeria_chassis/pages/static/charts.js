// Charts in the colours of the page, by Chart.js. chart(type, {labels, series: {name: numbers}}, options) makes an
// element; its `.update(data)` shows other numbers without drawing anew.
import { h } from "./pizzeria.js";

const library = new Promise((ready, fail) => {
  const script = h("script", { src: "assets/vendor/chart.js/chart.umd.min.js" });
  script.onload = () => ready(window.Chart);
  script.onerror = () => fail(new Error("The charts could not be loaded."));
  document.head.append(script);
});

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const palette = () => [1, 2, 3, 4, 5, 6].map((n) => colour(`--c${n}`));

/**
 * Args: type "bar" | "line" | "doughnut"; options {stacked, horizontal, unit, label}; label is what screen readers say.
 */
export function chart(type, data, { stacked = false, horizontal = false, unit = "", label = "" } = {}) {
  const canvas = h("canvas", { role: "img", "aria-label": label });
  const element = h("div", { class: "chart" }, canvas);
  let drawn = null;
  let latest = data;
  const round = type === "doughnut";
  const datasets = ({ series }) => Object.entries(series).map(([name, numbers], n) => {
    const colours = palette();
    const own = colours[n % colours.length];
    return { label: name, data: numbers, borderWidth: type === "line" ? 2 : 0, pointRadius: 0, tension: .25, borderRadius: 3,
      borderColor: round ? colour("--card") : own, backgroundColor: round ? numbers.map((_, i) => colours[i % colours.length]) : own };
  });
  const options = () => ({
    responsive: true, maintainAspectRatio: false, animation: false, indexAxis: horizontal ? "y" : "x",
    color: colour("--dim"), interaction: { mode: round ? "nearest" : "index", intersect: round, axis: horizontal ? "y" : "x" },
    plugins: {
      legend: { display: round || Object.keys(latest.series).length > 1, position: round ? "right" : "top", labels: { boxWidth: 12, color: colour("--ink") } },
      tooltip: { callbacks: { label: (at) => `${round ? at.label : at.dataset.label}: ${at.formattedValue}${unit && ` ${unit}`}` } },
    },
    scales: round ? {} : Object.fromEntries(["x", "y"].map((axis) => [axis, {
      stacked, beginAtZero: true, ticks: { color: colour("--dim"), maxRotation: 0, autoSkip: true },
      grid: { color: (axis === "x") === horizontal ? colour("--line") : "transparent" }, border: { display: false } }])),
  });
  const draw = (Chart) => {
    drawn?.destroy();
    drawn = new Chart(canvas, { type, data: { labels: latest.labels, datasets: datasets(latest) }, options: options() });
  };
  element.update = (next) => {
    latest = next;
    if (!drawn) return;
    drawn.data = { labels: next.labels, datasets: datasets(next) };
    drawn.update();
  };
  library.then((Chart) => {
    draw(Chart);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw(Chart));
  });
  return element;
}
