// The guest's page: sign in, fill a cart, order, and follow each order live with its journey.
import { act, api, badge, card, clock, confirm, h, keepToken, live, moment, money, page, Problem, show, span, table, toast, token } from "./pizzeria.js";

const STEPS = ["pending", "confirmed", "cooking", "ready", "delivering", "delivered"];
const ENDED = ["delivered", "cancelled"];
const KIND = { delivered: "good", cancelled: "bad", cooking: "warn", ready: "info", delivering: "info" };
const WORDS = {
  "pizzeria.order.placed.v1": "Order placed",
  "pizzeria.order.confirmed.v1": "Handed to the kitchen",
  "pizzeria.order.cancelled.v1": "Cancelled",
  "pizzeria.order.cancellation_requested.v1": "The kitchen is asked to let go",
  "pizzeria.payment.captured.v1": "Paid",
  "pizzeria.payment.declined.v1": "Card declined",
  "pizzeria.payment.refunded.v1": "Money given back",
  "pizzeria.kitchen.ticket_accepted.v1": "The kitchen has accepted",
  "pizzeria.kitchen.ticket_rejected.v1": "The kitchen cannot",
  "pizzeria.kitchen.ticket_started.v1": "A pizza was begun",
  "pizzeria.kitchen.ticket_completed.v1": "A pizza is done",
  "pizzeria.kitchen.ticket_completed.v2": "A pizza is done",
  "pizzeria.kitchen.order_ready.v1": "All is cooked",
  "pizzeria.kitchen.cancellation_accepted.v1": "The kitchen lets go",
  "pizzeria.kitchen.cancellation_refused.v1": "Too late: it is being cooked",
  "pizzeria.delivery.started.v1": "On its way",
  "pizzeria.delivery.completed.v1": "Delivered",
  "payment.no_answer": "The payment provider did not answer",
  "payment.not_asked": "The payment provider is not asked for now",
  "payment.unknown_to_provider": "The charge never arrived: again",
  "payment.refund_failed": "The refund did not go through: again later",
  "saga.taken_up": "Taken up again",
  dead_letter: "Somebody gave up on an event",
};
const text = (type) => WORDS[type] ?? type.replace("kitchen.ticket.", "Pizza: ").replaceAll("_", " ");
const sum = (items) => items.map((item) => `${item.quantity} × ${item.pizza_id} ${item.size}${item.toppings.length ? ` + ${item.toppings.join(", ")}` : ""}`).join("; ");

const greeting = h("div");
const menuPlace = h("div", { class: "grid" });
const cartPlace = h("section", { class: "card stack", "aria-label": "Cart" });
const ordersPlace = h("div");
const tracking = h("div", { class: "wide" });
let menu = null;
let checkoutKey = null;
let following = null;

// Who: a name is enough; the token stays in this tab.

function signInForm() {
  const name = h("input", { name: "name", required: true, maxlength: 100, autocomplete: "name" });
  const phone = h("input", { name: "phone", maxlength: 32, autocomplete: "tel" });
  const enter = async (event) => {
    event.preventDefault();
    await act(async () => {
      const body = { name: name.value, ...(phone.value && { phone: phone.value }) };
      keepToken((await api("/sessions", { method: "POST", body })).token);
      await enterAsGuest();
    });
  };
  return h("form", { class: "card row", onsubmit: enter, "aria-label": "Sign in" },
    h("label", {}, h("span", {}, "Your name"), name), h("label", {}, h("span", {}, "Phone (optional)"), phone),
    h("button", { class: "primary" }, "Come in"));
}

async function enterAsGuest() {
  const me = await api("/me");
  show(greeting, h("p", { class: "dim" }, `Good to see you, ${me.name}.`));
  await Promise.all([drawCart(), drawOrders()]);
}

// The menu.

function pizza(item) {
  const sizes = h("select", { "aria-label": `Size of ${item.name}` },
    Object.entries(item.prices).map(([size, price]) => h("option", { value: size, selected: size === "medium" }, `${size} · ${money(price)}`)));
  const boxes = item.toppings.map((id) => h("input", { type: "checkbox", value: id }));
  const price = (id) => menu.toppings.find((topping) => topping.id === id)?.price;
  const add = () => act(async () => {
    if (!token()) throw new Problem(401, { detail: "Tell us your name first." });
    const toppings = boxes.filter((box) => box.checked).map((box) => box.value);
    await api("/cart/items", { method: "POST", body: { pizza_id: item.id, size: sizes.value, toppings, quantity: 1 }, headers: { "Idempotency-Key": crypto.randomUUID() } });
    boxes.forEach((box) => { box.checked = false; });
    await drawCart();
  }, `${item.name} is in your cart.`);
  return h("section", { class: "card stack" },
    h("div", { class: "row spread" }, h("h2", {}, item.name), item.available ? null : badge("sold out", "bad")),
    h("div", { class: "row" }, sizes, h("button", { class: "primary", disabled: !item.available, onclick: add, "aria-label": `Add ${item.name}` }, "Add")),
    item.toppings.length ? h("details", {}, h("summary", { class: "dim small" }, "Extra toppings"),
      h("div", { class: "toppings" }, item.toppings.map((id, n) => h("label", { class: "row small" }, boxes[n], `${id} ${money(price(id))}`)))) : null);
}

async function drawMenu() {
  menu = await api("/menu");
  show(menuPlace, menu.items.map(pizza));
}

// The cart and the checkout.

async function drawCart() {
  const { body: cart, headers } = await api("/cart", { full: true });
  const tag = headers.get("etag");
  checkoutKey = null;
  const change = (line, quantity) => act(async () => {
    if (quantity) await api(`/cart/items/${line.id}`, { method: "PATCH", body: { quantity } });
    else await api(`/cart/items/${line.id}`, { method: "DELETE" });
    await drawCart();
  });
  show(cartPlace, h("h2", {}, "Your cart"),
    cart.gone ? h("p", { class: "warn" }, "Your former cart was lost; please fill it again.") : null,
    cart.items.map((line) => h("div", { class: "row spread line" },
      h("div", {}, h("strong", {}, line.pizza_id), ` ${line.size}`, line.toppings.length ? h("div", { class: "dim small" }, `+ ${line.toppings.join(", ")}`) : null,
        line.previous_unit_price ? h("div", { class: "warn small" }, `was ${money(line.previous_unit_price)}`) : null,
        line.available ? null : h("div", { class: "bad small" }, "not available now")),
      h("div", { class: "row" }, money(line.unit_price),
        h("button", { onclick: () => change(line, line.quantity - 1), "aria-label": `Less ${line.pizza_id}` }, "−"), String(line.quantity),
        h("button", { onclick: () => change(line, line.quantity + 1), "aria-label": `More ${line.pizza_id}` }, "+")))),
    cart.items.length ? checkoutForm(cart, tag) : h("p", { class: "empty" }, "Still empty."));
}

function checkoutForm(cart, tag) {
  const form = h("form", { class: "stack", onsubmit: (event) => { event.preventDefault(); checkOut(form, tag); } },
    h("label", {}, h("span", {}, "Deliver to"), h("input", { name: "delivery_address", maxlength: 500, autocomplete: "street-address" })),
    h("label", {}, h("span", {}, "Ready at (empty: as soon as possible)"), h("input", { name: "scheduled_for", type: "datetime-local" })),
    h("label", {}, h("span", {}, "Notes"), h("input", { name: "notes", maxlength: 500 })),
    h("div", { class: "row" },
      h("label", {}, h("span", {}, "Priority"), h("select", { name: "priority" }, h("option", { value: "standard" }, "standard"), h("option", { value: "express" }, "express"))),
      h("label", {}, h("span", {}, "Test card"), h("select", { name: "card" },
        h("option", { value: "tok_approved" }, "is approved"), h("option", { value: "tok_declined" }, "is declined"), h("option", { value: "tok_timeout" }, "times out")))),
    h("button", { class: "primary" }, `Order for ${money(cart.total)}`));
  return form;
}

async function checkOut(form, tag) {
  const asked = Object.fromEntries(new FormData(form));
  // The same key until there is an answer: pressing twice orders once.
  checkoutKey ??= crypto.randomUUID();
  const button = form.querySelector("button.primary");
  button.disabled = true;
  try {
    const order = await api("/cart/checkout", { method: "POST", headers: { "Idempotency-Key": checkoutKey, ...(tag && { "If-Match": tag }) },
      body: { payment: { token: asked.card }, priority: asked.priority, delivery_address: asked.delivery_address || null, notes: asked.notes || null,
        scheduled_for: asked.scheduled_for ? new Date(asked.scheduled_for).toISOString() : null } });
    await drawCart();
    await Promise.all([drawOrders(), follow(order.id)]);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const fields = (error.body.errors ?? []).map((fault) => `${fault.pointer}: ${fault.detail}`).join(" ");
    toast(`${error.message} ${fields}`, "bad");
    if (error.status) await drawCart(); // an answer: another try is another request
  } finally {
    button.disabled = false;
  }
}

// Orders, and one of them live.

async function drawOrders() {
  const { items } = await api("/orders?limit=10");
  show(ordersPlace, table([
    { title: "Ordered", cell: (order) => moment(order.created_at) },
    { title: "What", cell: (order) => sum(order.items) },
    { title: "Total", number: true, cell: (order) => money(order.total) },
    { title: "", cell: (order) => badge(order.status, KIND[order.status]) },
    { title: "", cell: (order) => h("button", { onclick: () => follow(order.id) }, "Follow") },
  ], items, "You have not ordered yet."));
}

function progress(order) {
  const at = STEPS.indexOf(order.status);
  return h("ol", { class: `progress ${order.status}`, "aria-label": "Progress" }, STEPS.map((step, n) =>
    h("li", { class: n <= at ? "done" : "", "aria-current": n === at && "step" }, step)));
}

function expected(order) {
  if (ENDED.includes(order.status) || !order.estimated_ready_at || STEPS.indexOf(order.status) >= STEPS.indexOf("ready")) return null;
  const left = (new Date(order.estimated_ready_at) - Date.now()) / 1000;
  return h("div", {}, "Ready about ", h("strong", {}, clock(order.estimated_ready_at)), left > 0 ? `, in ${span(left)}` : ", any moment");
}

function paid(order) {
  const { status, captured, refunded } = order.payment;
  return h("div", { class: "dim" }, `Payment ${status.replace("_", " ")}: ${money(captured)} taken, ${money(refunded)} given back`);
}

async function cancel(order) {
  if (!await confirm("Cancel this order?", "Cancel it")) return;
  await act(async () => {
    const now = await api(`/orders/${order.id}/cancel`, { method: "POST" });
    toast(now.status === "cancelled" ? "Cancelled." : "The kitchen is asked.");
  });
}

async function drawJourney(order, place) {
  const { items, missing } = await api(`/orders/${order.id}/journey`);
  const detail = (line) => Object.entries(line.detail).filter(([name]) => ["station_id", "attempt", "failure", "reason", "step", "error", "lease_until", "driver_id", "estimated_ready_at"].includes(name))
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${/(_at|until)$/.test(name) ? clock(value) : value}`).join(", ");
  show(place, missing.length ? h("p", { class: "warn" }, `Not all of it: ${missing.join(" and ")} cannot be asked now.`) : null, table([
    { title: "When", cell: (line) => clock(line.time) },
    { title: "What", cell: (line) => text(line.type) },
    { title: "State", cell: (line) => (line.state ? badge(line.state, KIND[line.state]) : "") },
    { title: "By", cell: (line) => line.source.split("/").pop() },
    { title: "", cell: (line) => h("span", { class: "dim small" }, detail(line)) },
    { title: "Trace", cell: (line) => h("span", { class: "mono dim", title: line.trace_id }, line.trace_id?.slice(0, 8) ?? "") },
  ], items));
}

async function follow(id) {
  following?.abort();
  const mine = following = new AbortController();
  location.hash = id;
  const link = badge("…");
  const head = h("div", { class: "stack" });
  const journey = h("div");
  show(tracking, h("section", { class: "card stack", "aria-label": "Tracking" },
    h("div", { class: "row spread" }, h("h2", {}, "Order ", h("span", { class: "mono" }, id.slice(-12))), link), head, h("h2", {}, "Its journey"), journey));
  const state = (now) => { link.textContent = now; link.className = `badge ${now === "live" ? "good" : "warn"}`; };
  const draw = (order) => {
    const open = ["pending", "confirmed"].includes(order.status) && !order.cancellation;
    show(head, progress(order), h("div", { class: "row spread" }, h("div", {}, h("div", {}, `${sum(order.items)} · `, h("strong", {}, money(order.total))), expected(order), paid(order),
      order.cancellation ? h("div", { class: "warn" }, `Cancellation ${order.cancellation}`) : null),
      open ? h("button", { onclick: () => cancel(order) }, "Cancel the order") : null));
  };
  try {
    await live(`/orders/${id}/live`, ({ data }) => {
      const order = JSON.parse(data);
      draw(order);
      Promise.all([drawJourney(order, journey), drawOrders()]).catch((error) => toast(error.message, "bad"));
    }, { signal: mine.signal, state });
    if (!mine.signal.aborted) state("ended");
  } catch (error) { show(head, h("p", { class: "bad" }, error.message)); }
}

if (!token()) show(greeting, signInForm());
show(page, h("h1", {}, "What may we bake for you?"), greeting,
  h("div", { class: "shop" }, menuPlace, cartPlace), tracking, card("Your orders", ordersPlace));
show(cartPlace, h("h2", {}, "Your cart"), h("p", { class: "empty" }, "Come in to fill it."));
await act(drawMenu);
if (token()) {
  try { await enterAsGuest(); } catch (error) { toast(error.message, "bad"); if (!token()) show(greeting, signInForm()); }
}
if (token() && location.hash.length > 1) follow(location.hash.slice(1));
