// A cook's own page: take the next pizza, say that it is done or spoilt. The lease is renewed while the page is
// open; when another station has taken over, it says so. Keys and tokens of tickets stay in this tab.
import { act, api, badge, dialog, every, h, page, Problem, show, signIn, span, toast } from "./pizzeria.js";

const KEY = "kitchen-station";
let held = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
let waiting = null;
const chosen = h("select", { id: "station", "aria-label": "Station" });
const hands = h("div", { class: "grid" });
const next = h("button", { class: "primary", onclick: take }, "Next pizza");

const keep = (tickets) => { held = tickets; sessionStorage.setItem(KEY, JSON.stringify(held)); draw(); };
const without = (ticket) => held.filter((one) => one.ticket_id !== ticket.ticket_id);

async function take() {
  if (waiting) { waiting.abort(); return; }
  waiting = new AbortController();
  next.textContent = "Waiting for a pizza … (stop)";
  try {
    // The same key until there is an answer: a lost one does not cost a ticket.
    const headers = { "Idempotency-Key": crypto.randomUUID() };
    const ticket = await api(`/stations/${encodeURIComponent(chosen.value)}/claim`,
      { method: "POST", body: { wait_seconds: 25 }, headers, signal: waiting.signal });
    if (ticket) keep([...without(ticket), { ...ticket, taken_at: Date.now() }]);
    else toast("Nothing to cook.");
  } catch (error) {
    if (error.name !== "AbortError") toast(error.message, "bad");
  } finally {
    waiting = null;
    next.textContent = "Next pizza";
  }
}

async function say(verb, ticket, more = {}) {
  try {
    const now = await api(`/tickets/${ticket.ticket_id}/${verb}`, { method: "POST", body: { fencing_token: ticket.fencing_token, ...more } });
    keep(verb === "extend" ? held.map((one) => (one.ticket_id === ticket.ticket_id ? { ...one, ...now } : one)) : without(ticket));
  } catch (error) {
    if (error instanceof Problem && (error.status === 409 || error.status === 404)) keep(without(ticket));
    throw error;
  }
}

function draw() {
  show(hands, held.length ? held.map((ticket) => h("section", { class: "card stack" },
    h("div", { class: "row spread" }, h("h2", {}, ticket.pizza), h("span", {}, ticket.priority === "express" ? badge("express", "info") : "")),
    h("div", {}, `${ticket.size}${ticket.toppings.length ? ` + ${ticket.toppings.join(", ")}` : ""}`),
    h("div", { class: "dim small" }, `at ${ticket.station_id}, for ${span((Date.now() - ticket.taken_at) / 1000)}`),
    h("div", { class: "row" },
      h("button", { class: "primary", onclick: () => act(() => say("complete", ticket), "Done.") }, "Done"),
      h("button", { onclick: async () => {
        const why = await dialog("What happened?", [{ name: "reason", label: "Reason", value: "burnt", required: true }], "Cook it again");
        if (why) await act(() => say("fail", ticket, { reason: why.reason }));
      } }, "Spoilt")))) : h("p", { class: "empty" }, "Your hands are free."));
}

async function renew() {
  await Promise.all(held.map((ticket) => say("extend", ticket)));
  draw();
}

await signIn("a cook's");
show(page, h("div", { class: "row" }, h("h1", {}, "My station"), chosen, next), hands);
const { items } = await api("/stations");
show(chosen, items.filter((station) => station.open).map((station) => h("option", {}, station.station_id)));
draw();
every(3, renew);
