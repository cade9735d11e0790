// How far the projections are, whether they are right, and folding them anew.
import { act, api, badge, card, every, h, live, moment, page, show, signIn, table, toast } from "./pizzeria.js";

const figures = h("div", { class: "grid" });
const rebuilds = h("div");
const result = h("div");

const figure = (title, value, kind = "") => h("section", { class: "card" }, h("div", { class: "dim small" }, title), h("div", { class: `figure ${kind}` }, value));
const numbers = (rows) => (rows.length ? table([
  { title: "Table", cell: (d) => h("span", { class: "mono" }, d.table) }, { title: "Field", cell: (d) => h("span", { class: "mono" }, d.field) },
  { title: "Expected", number: true, cell: (d) => d.expected }, { title: "Found", number: true, cell: (d) => d.found }], rows) : null);

async function look() {
  const [state, all] = await Promise.all([api("/projections"), api("/projections/rebuilds")]);
  const behind = state.checkpoint === null ? "–" : state.archive_head - state.checkpoint;
  show(figures, figure("Events in the archive", state.archive_head), figure("Not counted yet", behind, behind === 0 ? "good" : "warn"),
    figure("Unreadable", state.unreadable, state.unreadable ? "bad" : "good"));
  show(rebuilds, table([
    { title: "Asked for", cell: (r) => moment(r.requested_at) },
    { title: "Why", cell: (r) => r.reason.replaceAll("-", " ") },
    { title: "", cell: (r) => badge(r.status, { live: "good", folding: "info" }[r.status] ?? "warn") },
    { title: "Folded", cell: (r) => (r.finished_at ? null : h("progress", { max: Math.max(r.archive_head, 1), value: r.counted })) },
    { title: "Differences", number: true, cell: (r) => (r.compared ? r.differences : r.compared === null ? "–" : "not compared") },
    { title: "Done", cell: (r) => moment(r.finished_at) },
  ], all.items));
}

const check = () => act(async () => {
  show(result, h("p", { class: "dim" }, "The whole archive is being folded …"));
  const found = await api("/projections/check");
  show(result, h("div", { class: "row" }, badge(found.consistent ? "all adds up" : "something is wrong", found.consistent ? "good" : "bad"),
    h("span", { class: "dim" }, `${found.differences ?? "?"} numbers differ from a fold from nothing`)), numbers(found.examples),
  table([{ title: "Stream", cell: ([name]) => name }, { title: "Told", number: true, cell: ([, s]) => s.feed_head },
    { title: "Archived", number: true, cell: ([, s]) => s.archived }, { title: "Missing", number: true, cell: ([, s]) => s.missing.join(", ") || "none" },
    { title: "Another event", number: true, cell: ([, s]) => s.strangers.join(", ") || "none" }], Object.entries(found.streams)));
});

const rebuild = () => act(async () => {
  await api("/projections/rebuild", { method: "POST" });
  toast("The archive is folded anew; what is shown stays until it is done.", "good");
  looking.now();
});

await signIn("the manager's");
show(page, h("h1", {}, "Projections"), h("div", { class: "stack" }, figures,
  card("Rebuilds", h("div", { class: "row" }, h("button", { class: "primary", onclick: rebuild }, "Fold anew")), rebuilds),
  card("Is it all true?", h("div", { class: "row" }, h("button", { onclick: check }, "Check against archive and feeds")), result)));
const looking = every(3, look);
live("/live", looking.now).catch((error) => toast(error.message, "bad"));
