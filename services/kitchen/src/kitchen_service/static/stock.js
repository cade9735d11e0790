// The stock: what is low comes first; a delivery is entered here.
import { act, api, badge, dialog, every, h, live, page, show, signIn, table } from "./pizzeria.js";

const list = h("div", { class: "card" });

async function restock(stock) {
  const key = crypto.randomUUID(); // a repeat after a lost answer adds nothing
  const came = await dialog(`How many portions of ${stock.ingredient} came?`,
    [{ name: "quantity", label: "Portions", type: "number", value: String(Math.max(1, stock.low_below * 2)), required: true }], "Add");
  if (!came) return;
  await act(async () => {
    await api(`/inventory/${encodeURIComponent(stock.ingredient)}/restock`,
      { method: "POST", body: { quantity: Number(came.quantity) }, headers: { "Idempotency-Key": key } });
    await looking.now();
  }, "Added.");
}

async function look() {
  const { items } = await api("/inventory");
  items.sort((a, b) => Number(b.low) - Number(a.low) || a.ingredient.localeCompare(b.ingredient));
  show(list, table([
    { title: "Ingredient", cell: (stock) => [stock.ingredient, " ", stock.low ? badge("low", "bad") : null] },
    { title: "In stock", number: true, cell: (stock) => stock.in_stock.toLocaleString() },
    { title: "Reserved", number: true, cell: (stock) => stock.reserved.toLocaleString() },
    { title: "Consumed", number: true, cell: (stock) => stock.consumed.toLocaleString() },
    { title: "Low below", number: true, cell: (stock) => stock.low_below.toLocaleString() },
    { title: "", cell: (stock) => h("button", { onclick: () => restock(stock) }, "Restock") },
  ], items));
}

await signIn("a cook's");
show(page, h("h1", {}, "Stock"), list);
const looking = every(5, look);
live("/live", looking.now).catch(() => {}); // looking every 5 s goes on
