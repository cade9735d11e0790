// Segments of customers, what two of them have in common, and campaigns for them.
import { act, api, badge, card, dialog, every, h, moment, page, show, signIn, table, toast } from "./pizzeria.js";

const segments = h("div");
const overlap = h("div");
const campaigns = h("div");
const shown = h("div");
const choose = (label) => h("select", { "aria-label": label });
const [one, other] = [choose("One segment"), choose("Other segment")];
const chosen = new Set();

function offer(names) {
  for (const [number, select] of [one, other].entries()) {
    const before = select.value;
    show(select, names.map((name) => h("option", { value: name }, name)));
    select.value = names.includes(before) ? before : names[number] ?? "";
  }
}

const bar = (count, most) => h("meter", { min: 0, max: Math.max(most, 1), value: count, "aria-hidden": true });

async function look() {
  const [found, made] = await Promise.all([api("/segments"), api("/campaigns?limit=20")]);
  const most = Math.max(...found.items.map((segment) => segment.count));
  offer(found.items.map((segment) => segment.name));
  show(segments, table([
    { title: "", cell: (s) => h("input", { type: "checkbox", "aria-label": `Choose ${s.name}`, checked: chosen.has(s.name),
      onchange: (event) => { event.target.checked ? chosen.add(s.name) : chosen.delete(s.name); } }) },
    { title: "Segment", cell: (s) => [h("strong", {}, s.name), h("div", { class: "dim small" }, s.description)] },
    { title: "", cell: (s) => bar(s.count, most) },
    { title: "Customers", number: true, cell: (s) => s.count },
    { title: "", cell: (s) => h("button", { onclick: () => list(`Who is ${s.name}`, `/segments/${encodeURIComponent(s.name)}`) }, "Who?") },
  ], found.items));
  show(campaigns, table([
    { title: "Campaign", cell: (c) => [h("strong", {}, c.name), h("div", { class: "dim small" }, c.segments.join(" or "))] },
    { title: "Customers", number: true, cell: (c) => c.audience_size },
    { title: "Until", cell: (c) => moment(c.expires_at) },
    { title: "", cell: (c) => badge(c.status, c.status === "running" ? "good" : "") },
    { title: "", cell: (c) => (c.status === "running" ? h("button", { onclick: () => list(`Whom ${c.name} is for`, `/campaigns/${c.id}/audience`) }, "Whom?") : null) },
  ], made.items, "No campaign yet."));
  await compare();
}

async function compare() {
  if (!one.value || one.value === other.value) { show(overlap, h("p", { class: "empty" }, "Choose two segments.")); return; }
  const both = await api(`/segments/overlap?of=${encodeURIComponent(`${one.value},${other.value}`)}`);
  show(overlap, h("div", { class: "row" }, h("span", { class: "figure" }, both.both),
    h("span", {}, ` of ${both.either} customers are in both (${Math.round(both.similarity * 100)} %)`)));
}

async function list(title, path, cursor = null, before = []) {
  const found = await api(`${path}?limit=50${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
  const all = [...before, ...found.items];
  show(shown, card(title, all.length ? h("ul", { class: "mono members" }, all.map((id) => h("li", {}, id))) : h("p", { class: "empty" }, "Nobody."),
    found.next ? h("button", { onclick: () => list(title, path, found.next, all) }, "More") : null));
}

async function begin() {
  if (!chosen.size) { toast("Choose the segments first.", "bad"); return; }
  const key = crypto.randomUUID(); // of this wish: sent twice it is one campaign
  const wish = await dialog(`A campaign for ${[...chosen].join(" or ")}`, [
    { name: "name", label: "Name", required: true }, { name: "days", label: "Days", type: "number", value: 7, required: true }]);
  if (!wish) return;
  const body = { name: wish.name, segments: [...chosen], expires_at: new Date(Date.now() + wish.days * 86_400_000).toISOString() };
  await act(async () => {
    const made = await api("/campaigns", { method: "POST", body, headers: { "Idempotency-Key": key } });
    toast(`${made.name} is for ${made.audience_size} customers.`, "good");
  });
  looking.now();
}

await signIn("the manager's");
for (const select of [one, other]) select.addEventListener("change", () => act(compare));
show(page, h("h1", {}, "Customers"), h("div", { class: "columns" },
  h("div", { class: "stack" },
    card("Segments", segments, h("div", { class: "row" },
      h("button", { class: "primary", onclick: begin }, "Begin a campaign for the chosen"))),
    card("In common", h("div", { class: "row" }, one, h("span", { class: "dim" }, "and"), other), overlap)),
  h("div", { class: "stack" }, card("Campaigns", campaigns), shown)));
const looking = every(10, look);
