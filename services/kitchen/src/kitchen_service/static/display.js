// The wall of the kitchen: what waits, who cooks what, what is late, how honest the estimates are.
import { api, ago, badge, card, clock, every, h, live, page, show, signIn, span, table } from "./pizzeria.js";

const figures = h("div", { class: "grid figures" });
const queue = h("div");
const stations = h("div", { class: "grid" });
const link = h("span", { class: "badge" }, "…");

const HEALTH = { working: "good", waiting: "info", silent: "warn", closed: "" };
const figure = (title, value, kind = "") => h("section", { class: "card" }, h("div", { class: "dim small" }, title), h("div", { class: `figure ${kind}` }, value));
const since = (time) => span((Date.now() - new Date(time)) / 1000);
const pizza = (ticket) => [h("strong", {}, ticket.pizza), " ", h("span", { class: "dim" }, ticket.size),
  ticket.toppings.length ? h("div", { class: "dim small" }, `+ ${ticket.toppings.join(", ")}`) : null];
const marks = (ticket) => [ticket.priority === "express" ? badge("express", "info") : null, " ",
  ticket.late ? badge("late", "bad") : null, " ", ticket.attempt > 1 ? badge(`try ${ticket.attempt}`, "warn") : null];

async function look() {
  const [waiting, places, estimates] = await Promise.all([api("/queue?limit=100"), api("/stations"), api("/estimates")]);
  const cooking = places.items.flatMap((station) => station.tickets);
  const late = [...waiting.items, ...cooking].filter((ticket) => ticket.late).length;
  const room = places.items.filter((s) => s.open).reduce((sum, s) => sum + s.capacity, 0);
  show(figures,
    figure("Waiting", waiting.next ? "100+" : waiting.items.length),
    figure("Cooking", `${cooking.length} / ${room}`),
    figure("Late", late, late ? "bad" : "good"),
    figure("Error of the estimates", span(estimates.mean_absolute_error_seconds)),
    figure("A pizza takes", span(estimates.typical_cooking_seconds)));
  show(queue, table([
    { title: "#", number: true, cell: (ticket) => waiting.items.indexOf(ticket) + 1 },
    { title: "Pizza", cell: pizza },
    { title: "", cell: marks },
    { title: "Needs", cell: (ticket) => ticket.skill },
    { title: "Waits", number: true, cell: (ticket) => since(ticket.created_at) },
    { title: "Promised", number: true, cell: (ticket) => clock(ticket.promised_at) },
  ], waiting.items, "Nothing waits."));
  show(stations, places.items.map((station) => h("section", { class: "card stack" },
    h("div", { class: "row spread" }, h("h2", {}, station.station_id), badge(station.health, HEALTH[station.health])),
    h("div", { class: "dim small" }, `${station.skills.join(", ")} · ${station.seen_at ? `seen ${ago(station.seen_at)}` : "never seen"}`),
    Array.from({ length: station.capacity }, (_, place) => station.tickets[place]).map((ticket) => ticket
      ? h("div", { class: "row spread place" }, h("div", {}, pizza(ticket)), h("div", { class: "row" }, marks(ticket), since(ticket.started_at)))
      : h("div", { class: "place dim" }, "free")))));
}

await signIn("a cook's");
show(page, h("div", { class: "row spread" }, h("h1", {}, "Kitchen"), link), figures, h("div", { class: "columns" },
  card("Next to be cooked", queue), h("div", { class: "stack" }, stations)));
const looking = every(3, look);
live("/live", looking.now, { state: (now) => { link.textContent = now; link.className = `badge ${now === "live" ? "good" : "warn"}`; } })
  .catch((error) => { link.textContent = error.message; });
