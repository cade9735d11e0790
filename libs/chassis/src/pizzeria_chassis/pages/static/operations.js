// For whoever runs this service: what it is connected to and how that goes, its dead letters, what was done about them.
import { api, badge, card, every, h, moment, page, show, signIn, span, table, token } from "./pizzeria.js";
import { deadLetters } from "./operations-letters.js";
import { faultSwitches } from "./operations-faults.js";
import { drawMap } from "./operations-map.js";
import { read } from "./operations-state.js";

const BREAKERS = { closed: "good", "half-open": "warn", open: "bad" };
const CHECKS = { ok: "good", degraded: "warn", down: "bad" };
const LOG_STEP = 20;
const number = (value) => (value == null ? "–" : value.toLocaleString());

const map = h("div", { id: "map" });
const checks = h("div", { class: "row", id: "checks" });
const lag = h("div", { id: "lag" });
const breakers = h("div", { id: "breakers" });
const log = h("div", { id: "log" });
let logged = LOG_STEP;

function drawLag({ lag: { outbox, streams }, incoming, outgoing, topology }) {
  const rows = streams.map((one) => ({ ...one, now: incoming.find((node) => node.title === one.stream) }));
  if (outbox) {
    rows.unshift({ stream: "outbox", position: outbox.sent, head: outbox.head, behind: outbox.head - outbox.sent,
      now: outgoing.find((node) => node.title === topology.publishes[0]?.stream) });
  }
  show(lag, table([
    { title: "Of", cell: (row) => row.stream },
    { title: "State", cell: (row) => badge(row.now?.words ?? "–", row.now?.kind) },
    { title: "Position", number: true, cell: (row) => number(row.position) },
    { title: "Head", number: true, cell: (row) => number(row.head) },
    { title: "Behind", number: true, cell: (row) => [row.now?.late ? [badge("late", "bad"), " "] : null, number(row.behind)] },
    { title: "Unread", number: true, cell: (row) => number(row.unread) },
    { title: "Pending", number: true, cell: (row) => number(row.pending) },
    { title: "Oldest pending", number: true, cell: (row) => (row.pending ? span(row.oldest_pending_seconds) : "–") },
    { title: "Dead", number: true, cell: (row) => number(row.dead) },
  ], rows, "This service neither publishes nor consumes."));
}

function drawBreakers(items) {
  show(breakers, table([
    { title: "Breaker", cell: (one) => one.name },
    { title: "State", cell: (one) => badge(one.state, BREAKERS[one.state]) },
    { title: "For", number: true, cell: (one) => span(one.seconds) },
    { title: "Counts", cell: (one) => Object.entries(one.counts).map(([name, count]) => `${name} ${count}`).join(", ") || "–" },
  ], items, "This service has none."));
}

async function lookAtLog() {
  const { items, next } = await api(`/ops/log?limit=${logged}`);
  show(log, table([
    { title: "When", cell: (deed) => moment(deed.at) },
    { title: "Who", cell: (deed) => deed.who },
    { title: "Did", cell: (deed) => badge(deed.action) },
    { title: "To", cell: (deed) => deed.target },
    { title: "", cell: (deed) => deed.detail },
  ], items, "Nothing was done yet."),
  next && logged < 500 ? h("button", { onclick: () => { logged = Math.min(500, logged + LOG_STEP); lookAtLog(); } }, "More") : null);
}

async function start() {
  const topology = await api("/ops/topology");
  // Outside the demo the switches are not there: 404.
  const faults = await api("/ops/faults").catch((error) => { if (error.status === 404) return null; throw error; });
  const letters = deadLetters(topology.consumes.map((one) => one.stream), () => Promise.all([looking.now(), listing.now()]));
  const switches = faults && faultSwitches(faults.targets, () => Promise.all([looking.now(), listing.now()]));

  async function look() {
    const state = await read(faults !== null);
    drawMap(map, state);
    show(checks, Object.entries(state.topology.checks).map(([name, check]) =>
      badge([name, check.status, check.reason].filter(Boolean).join(": "), CHECKS[check.status])));
    drawLag(state);
    drawBreakers(state.breakers);
    switches?.draw(state.faults);
  }

  show(page, h("div", { class: "row spread" }, h("h1", {}, `Operations of ${topology.service}`),
    topology.checks.tasks ? h("a", { href: "../ops/tasks/" }, "Background tasks") : null),
  h("div", { class: "stack operations" },
    card("Connections", map, checks), card("Lag", lag), card("Breakers", breakers),
    card("Dead letters", letters.section),
    switches ? card("Faults of the demo", switches.section) : null,
    card("What operators did", log)));
  const looking = every(3, look);
  const listing = every(3, () => Promise.all([letters.look(), lookAtLog()]));
}

/** Say why not, and let the person try with another token. */
function refused(error) {
  show(page, h("h1", {}, "Operations"), h("section", { class: "card stack" }, h("p", { role: "alert" }, error.message),
    h("div", {}, h("button", { class: "primary", onclick: () => enter(true) }, token() ? "Use another token" : "Sign in"))));
}

async function enter(again = false) {
  await signIn("the manager's", again);
  try { await start(); } catch (error) { refused(error); }
}

await enter();
