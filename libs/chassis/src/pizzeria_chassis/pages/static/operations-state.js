// What the calls under /ops say, put into words and colours: good, warn, bad.
import { api, h, span } from "./pizzeria.js";
import { pageOf } from "./operations-map.js";

export const LATE_SECONDS = 10;
const behindSince = new Map();

/** For how many seconds something has been behind without a break; null while it is not. */
function behindFor(name, behind) {
  if (!behind) { behindSince.delete(name); return null; }
  if (!behindSince.has(name)) behindSince.set(name, Date.now());
  return (Date.now() - behindSince.get(name)) / 1000;
}

function backlog(name, count, words) {
  const seconds = behindFor(name, count);
  if (seconds === null) return null;
  return seconds > LATE_SECONDS ? { kind: "bad", words: `late: ${words} for ${span(seconds)}`, late: true } : { kind: "warn", words };
}

function consumed({ stream, owner, readers }, lag, faults) {
  const pause = faults.find((fault) => fault.kind === "pause" && fault.target === stream);
  const down = Object.values(readers).filter((status) => status === "down").length;
  const behind = lag && backlog(stream, lag.behind ?? lag.unread, `${lag.behind ?? lag.unread} behind`);
  const state = pause ? { kind: "bad", words: `paused by a fault, ${span(pause.seconds_left)} left` }
    : down ? { kind: "bad", words: "not read at the moment" }
    : lag && lag.unread === null ? { kind: "bad", words: "Redis does not answer" }
    : lag && lag.head === null ? { kind: "bad", words: "away: it does not answer" }
    : behind ?? (lag?.dead ? { kind: "warn", words: `${lag.dead} dead` } : { kind: "good", words: "up to date" });
  return { title: stream, below: URL.canParse(owner) ? new URL(owner).host : owner, link: pageOf(owner), late: behind?.late ?? false, ...state };
}

function called({ name, breaker }, breakers, faults) {
  const fault = faults.find((one) => one.kind === "away" && one.target === name);
  const seconds = breakers.find((one) => one.name === name)?.seconds;
  const state = fault ? { kind: "bad", words: `away by a fault, ${span(fault.seconds_left)} left` }
    : breaker === "open" ? { kind: "bad", words: `breaker open for ${span(seconds)}` }
    : breaker === "half-open" ? { kind: "warn", words: "breaker half-open: trying again" }
    : { kind: "good", words: "breaker closed" };
  return { title: name, below: "called", ...state };
}

function published({ stream, types }, outbox) {
  const unsent = outbox && outbox.head - outbox.sent;
  const behind = backlog("outbox", unsent, `${unsent} not sent yet`);
  return { title: stream, below: `publishes ${types.length} types`, ...(behind ?? { kind: "good", words: "all sent" }) };
}

/** What is the case now; outside the demo there are no faults to ask for. Throws Problem. */
export async function read(inDemo) {
  const [topology, lag, breakers, faults] = await Promise.all([
    api("/ops/topology"), api("/ops/lag"), api("/ops/breakers"), inDemo ? api("/ops/faults") : null]);
  const on = faults?.items ?? [];
  const incoming = topology.consumes.map((one) => consumed(one, lag.streams.find((each) => each.stream === one.stream), on));
  const outgoing = [...topology.publishes.map((one) => published(one, lag.outbox)),
    ...topology.calls.map((one) => called(one, breakers.items, on))];
  const bad = Object.entries(topology.checks).filter(([, check]) => check.status !== "ok");
  const http = on.filter((fault) => fault.target === "http").map((fault) => fault.means);
  const own = http.length ? { kind: "bad", words: http.join("; ") }
    : bad.length ? { kind: bad.some(([, check]) => check.status === "down") ? "bad" : "warn", words: `troubled: ${bad.map(([name]) => name).join(", ")}` }
    : { kind: "good", words: "all checks are well" };
  return { service: topology.service, topology, lag, breakers: breakers.items, faults, incoming, outgoing, own };
}

/** A refusal as one sentence, with the places that it names. */
export const refusal = (error) => [error.message,
  ...(error.body?.errors ?? []).map((one) => `${one.pointer}: ${one.detail}`)].join(" ");

/** A paragraph that says what was refused; `say(text)` fills it, `say("")` hides it. */
export function complaint() {
  const place = h("p", { class: "bad", role: "alert", hidden: true });
  return { place, say: (text) => { place.textContent = text; place.hidden = !text; } };
}
