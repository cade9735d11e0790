// The menu for guests, and for managers to edit. Each change carries the version that was seen (If-Match); who was
// overtaken is told and sees the new one.
import { act, api, badge, confirm, dialog, every, h, money, page, Problem, show, signIn, table, token } from "./pizzeria.js";

const list = h("div", { class: "card" });
const SIZES = ["small", "medium", "large"];
const path = (pizza) => `/menu/${encodeURIComponent(pizza.id)}`;
const words = (text) => text.split(",").map((word) => word.trim()).filter(Boolean);
const price = (amount) => ({ amount, currency: "EUR" });

async function change(pizza, method, body, said) {
  await act(async () => {
    try {
      await api(path(pizza), { method, body, headers: { "If-Match": `"${pizza.version}"` } });
    } catch (error) {
      if (error instanceof Problem && error.status === 412) throw new Error("Somebody else has changed it. You see it now as it is: change it again.");
      throw error;
    } finally { await look(); }
  }, said);
}

const FIELDS = (pizza) => [
  { name: "name", label: "Name", value: pizza.name, required: true },
  { name: "description", label: "Description", value: pizza.description },
  ...SIZES.map((size) => ({ name: size, label: `Price, ${size}`, value: pizza.prices?.[size]?.amount ?? "", required: true })),
  { name: "toppings", label: "Extra toppings (comma)", value: (pizza.toppings ?? []).join(", ") },
  { name: "ingredients", label: "Ingredients (comma)", value: (pizza.ingredients ?? []).join(", "), required: true },
  { name: "preparation_seconds", label: "Preparation (seconds)", type: "number", value: String(pizza.preparation_seconds ?? 480), required: true },
];
const body = (form) => ({
  name: form.name, description: form.description, prices: Object.fromEntries(SIZES.map((size) => [size, price(form[size])])),
  toppings: words(form.toppings), ingredients: words(form.ingredients), preparation_seconds: Number(form.preparation_seconds),
});

async function edit(pizza) {
  const form = await dialog(`Edit ${pizza.name}`, FIELDS(pizza), "Save");
  if (form) await change(pizza, "PATCH", body(form), "Saved.");
}

async function add() {
  const form = await dialog("A new pizza", [{ name: "id", label: "Id (a-z, 0-9, dashes)", required: true }, ...FIELDS({})], "Add");
  if (form) await act(async () => { await api(path(form), { method: "PUT", body: body(form) }); await look(); }, "Added.");
}

async function remove(pizza) {
  if (await confirm(`Take ${pizza.name} off the menu for good?`, "Take it off")) await change(pizza, "DELETE", undefined, "It is off the menu.");
}

async function look() {
  const { items, toppings } = await api("/menu");
  show(list, table([
    { title: "Pizza", cell: (pizza) => [h("strong", {}, pizza.name), h("div", { class: "dim small" }, pizza.description || pizza.ingredients.join(", "))] },
    ...SIZES.map((size) => ({ title: size, number: true, cell: (pizza) => money(pizza.prices[size]) })),
    { title: "", cell: (pizza) => (pizza.available ? badge("available", "good") : badge(pizza.short_of?.length ? `short of ${pizza.short_of.join(", ")}` : "off", "bad")) },
    ...(token() ? [{ title: "", cell: (pizza) => h("div", { class: "row" },
      h("button", { onclick: () => edit(pizza) }, "Edit"),
      h("button", { onclick: () => change(pizza, "PATCH", { available: !pizza.available }, "Done.") }, pizza.available ? "Take off" : "Put back"),
      h("button", { onclick: () => remove(pizza) }, "Delete")) }] : []),
  ], items, "The menu is empty."),
  h("p", { class: "dim small" }, toppings.length ? `Extra toppings: ${toppings.map((one) => `${one.id} ${money(one.price)}`).join(", ")}` : ""));
}

const staff = h("div", { class: "row" });
show(page, h("div", { class: "row spread" }, h("h1", {}, "Menu"), staff), list);
const looking = every(3, look);
const offer = () => show(staff, token() ? h("button", { class: "primary", onclick: add }, "New pizza")
  : h("button", { onclick: async () => { if (await signIn("the manager's")) { offer(); await looking.now(); } } }, "Edit the menu"));
offer();
