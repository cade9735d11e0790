// A page as services make them: it asks for a token, shows what the API says, hears hints, draws a chart.
import { api, act, card, dialog, every, h, live, page, show, signIn, table } from "./pizzeria.js";
import { chart } from "./charts.js";

const heard = h("output", { id: "heard" }, "0");
const events = h("div", { id: "events" });

async function look() {
  const { items } = await api("/events");
  show(events, table([
    { title: "Position", number: true, cell: (event) => event.position },
    { title: "Subject", cell: (event) => event.subject },
  ], items, "No visits yet."));
}

await signIn("the manager's");
show(page, h("h1", {}, "Visits"),
  h("button", { id: "visit", onclick: async () => {
    const who = await dialog("Who?", [{ name: "id", label: "Name", required: true }]);
    if (who) await act(async () => { await api(`/visits/${encodeURIComponent(who.id)}`, { method: "POST" }); }, "Noted.");
  } }, "Visit"),
  card("Events", events), card("Heard", heard),
  card("Chart", chart("bar", { labels: ["a", "b"], series: { visits: [1, 2] } }, { label: "visits" })));
every(0.5, look);
live("/hints", (event) => { heard.textContent = String(Number(heard.textContent) + 1); heard.dataset.last = event.data; });
