// What drivers take out and bring: the order that waits longest first.
import { act, ago, api, badge, clock, every, h, live, page, show, signIn, table } from "./pizzeria.js";

const KEY = "kitchen-driver";
const list = h("div", { class: "card" });
const who = h("input", { value: sessionStorage.getItem(KEY) ?? "", "aria-label": "Driver", placeholder: "Your name (optional)",
  maxlength: "100", oninput: (event) => sessionStorage.setItem(KEY, event.target.value) });

function step(order, verb, said) {
  const body = who.value.trim() ? { driver_id: who.value.trim() } : {};
  return act(async () => { await api(`/deliveries/${order.order_id}/${verb}`, { method: "POST", body }); await looking.now(); }, said);
}

async function look() {
  const { items } = await api("/deliveries");
  show(list, table([
    { title: "Order", cell: (order) => h("span", { class: "mono" }, order.order_id.slice(-12)) },
    { title: "State", cell: (order) => badge(order.status, order.status === "ready" ? "warn" : "info") },
    { title: "Ready", cell: (order) => `${clock(order.ready_at)} (${ago(order.ready_at)})` },
    { title: "Driver", cell: (order) => order.driver_id ?? "–" },
    { title: "", cell: (order) => order.status === "ready"
      ? h("button", { class: "primary", onclick: () => step(order, "start", "On the way.") }, "Take it out")
      : h("button", { onclick: () => step(order, "complete", "Delivered.") }, "Delivered") },
  ], items, "Nothing to deliver."));
}

await signIn("a driver's");
show(page, h("div", { class: "row" }, h("h1", {}, "Deliveries"), who), list);
const looking = every(3, look);
live("/live", looking.now).catch(() => {}); // looking every 3 s goes on
