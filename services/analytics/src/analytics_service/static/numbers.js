// The wall of the manager: what is sold, how long it takes, who is ahead; and how it stood at any past moment.
import { act, api, card, every, h, live, money, page, show, signIn, span, table } from "./pizzeria.js";
import { chart } from "./charts.js";

const HOURS = Array.from({ length: 24 }, (_, hour) => String(hour).padStart(2, "0"));
const TITLES = { waiting: "Waiting for an oven", preparation: "Preparation", "ready-to-delivered": "Ready to delivered", "order-to-delivered": "Order to delivered" };
const WINDOWS = { day: "today", week: "this week", all: "of all time" };

const figures = h("div", { class: "grid figures" });
const link = h("span", { class: "badge" }, "…");
const empty = { labels: [], series: {} };
const orders = chart("bar", empty, { stacked: false, label: "Orders of today by the hour" });
const takings = chart("line", empty, { unit: "EUR", label: "Revenue of today by the hour" });
const days = chart("bar", empty, { unit: "EUR", label: "Revenue by day" });
const popular = chart("bar", empty, { horizontal: true, label: "The most ordered pizzas" });
const reasons = chart("doughnut", empty, { label: "Why orders were cancelled" });
const durations = chart("line", empty, { unit: "min", label: "Minutes from order to delivery by the hour" });
const percentiles = h("div");
const boards = h("div", { class: "grid" });
const noReasons = h("p", { class: "empty" }, "No order was cancelled this week.");
const span_of = h("select", { "aria-label": "Leaderboards of" }, Object.entries(WINDOWS).map(([value, text]) => h("option", { value }, text)));

const figure = (title, value, note = "", kind = "") => h("section", { class: "card" },
  h("div", { class: "dim small" }, title), h("div", { class: `figure ${kind}` }, value), h("div", { class: "dim small" }, note));
const euros = (net) => Number(net.amount);
const about = (seconds) => span(seconds > 600 ? Math.round(seconds / 60) * 60 : seconds);
const sum = (items, what) => items.reduce((all, item) => all + item[what], 0);
const short = (id) => (id.length > 12 ? `${id.slice(0, 4)}…${id.slice(-6)}` : id);

async function look() {
  const [hourly, week, top, timings, cancelled, state] = await Promise.all([
    api("/hourly"), api("/revenue"), api("/popular?limit=8"), api("/timings"), api("/cancellations"), api("/projections")]);
  const today = week.items.at(-1);
  const took = Object.fromEntries(timings.items.map((timing) => [timing.timing, timing]));
  const behind = state.checkpoint === null ? null : state.archive_head - state.checkpoint;
  const [placed, delivered, lost] = ["placed", "delivered", "cancelled"].map((what) => sum(hourly.items, what));
  show(figures,
    figure("Revenue today", money(today.revenue), `${money(today.refunded)} refunded`),
    figure("Orders today", placed, `${delivered} delivered`),
    figure("Cancelled today", lost, placed ? `${Math.round(lost / placed * 100)} % of those placed` : "", lost ? "warn" : "good"),
    figure("Order to delivered", about(took["order-to-delivered"].p50), `nine of ten within ${about(took["order-to-delivered"].p90)}`),
    figure("Revenue in eight days", money(week.revenue)),
    figure("Not counted yet", behind ?? "–", behind === 0 ? "all events are counted" : "events", behind === 0 ? "good" : "warn"));

  const hour = new Date().getUTCHours();
  const soFar = (values) => values.map((value, at) => (at <= hour ? value : null));
  orders.update({ labels: HOURS, series: Object.fromEntries(["placed", "delivered", "cancelled"].map((what) => [what, hourly.items.map((one) => one[what])])) });
  takings.update({ labels: HOURS, series: { revenue: soFar(hourly.items.map((one) => euros(one.revenue))) } });
  days.update({ labels: week.items.map((day) => day.date.slice(5)), series: { revenue: week.items.map((day) => euros(day.revenue)) } });
  popular.update({ labels: top.items.map((pizza) => pizza.pizza_id), series: { ordered: top.items.map((pizza) => pizza.count) } });
  reasons.update({ labels: cancelled.items.map((item) => item.reason), series: { cancelled: cancelled.items.map((item) => item.count) } });
  reasons.hidden = !cancelled.total;
  noReasons.hidden = Boolean(cancelled.total);
  const byHour = Object.fromEntries(took["order-to-delivered"].by_hour.map((one) => [one.hour, one]));
  durations.update({ labels: HOURS, series: Object.fromEntries(["p50", "p90", "p99"].map((p) =>
    [p, HOURS.map((_, at) => (byHour[at] ? Math.round(byHour[at][p] / 6) / 10 : null))])) });
  show(percentiles, table([
    { title: "", cell: (row) => TITLES[row.timing] ?? row.name },
    ...["p50", "p90", "p99"].map((p) => ({ title: p, number: true, cell: (row) => span(row[p]) })),
    { title: "measured", number: true, cell: (row) => row.count },
  ], timings.items.flatMap((timing) => [timing,
    ...timing.by_pizza.map((of) => ({ ...of, name: h("span", { class: "dim" }, `· ${of.pizza_id}`) }))])));
}

async function rank() {
  const of = span_of.value;
  const board = (name) => api(`/leaderboards/${name}?window=${of}&limit=5`);
  const [tickets, speed, byOrders, byMoney] = await Promise.all(["stations", "stations-speed", "customers-orders", "customers-money"].map(board));
  const ranking = (title, found, score) => h("section", { class: "card stack" }, h("h2", {}, title), table([
    { title: "", cell: (row) => h("span", { class: "dim" }, `${row.rank}.`) },
    { title: "", cell: (row) => h("span", { title: row.id }, short(row.id)) },
    { title: "", number: true, cell: (row) => h("strong", {}, score(row.score)) },
  ], found.items, "Nobody yet."));
  show(boards, ranking("Stations by pizzas", tickets, String), ranking("Stations by speed", speed, (seconds) => `${seconds.toFixed(1)} s`),
    ranking("Customers by orders", byOrders, String), ranking("Customers by money", byMoney, money));
}

const when = h("input", { type: "datetime-local", "aria-label": "Moment", step: "1" });
const stood = h("div");
const lookBack = () => act(async () => {
  if (!when.value) return;
  const then = await api(`/as-of?time=${encodeURIComponent(new Date(when.value).toISOString())}`);
  show(stood, h("div", { class: "grid figures" },
    Object.entries(then.orders).map(([state, count]) => figure(state, count)),
    figure("revenue", money(then.revenue)), figure("favourite", then.popular[0]?.pizza_id ?? "–")));
});

await signIn("the manager's");
show(page, h("div", { class: "row spread" }, h("h1", {}, "Numbers"), link), figures,
  h("div", { class: "halves" },
    card("Orders today, by the hour (UTC)", orders), card("Revenue today, by the hour (UTC)", takings),
    card("Most ordered", popular), card("Revenue by day", days),
    card("From order to delivery, by the hour (UTC)", durations), card("How long things take", percentiles),
    card("Why orders were cancelled", noReasons, reasons),
    card("How it stood", h("div", { class: "row" }, when, h("button", { onclick: lookBack }, "Look back")), stood)),
  h("div", { class: "row spread section" }, h("h2", {}, "Who is ahead"), span_of), boards);

const looking = every(5, look);
const ranking = every(15, rank);
span_of.addEventListener("change", ranking.now);
let soon = null; // events come in crowds: one look per second is enough
live("/live", () => { soon ??= setTimeout(() => { soon = null; looking.now(); }, 1000); },
  { state: (now) => { link.textContent = now; link.className = `badge ${now === "live" ? "good" : "warn"}`; } })
  .catch((error) => { link.textContent = error.message; });
