// What a guest was told of their orders, receipts included, and what they may do with their data.
import { act, api, badge, card, confirm, every, h, keepToken, moment, money, page, show, signIn, table } from "./pizzeria.js";

const KINDS = { confirmed: "good", delivered: "good", cancelled: "bad", payment_declined: "bad", refunded: "info" };
const list = h("div", { class: "stack" });
const more = h("button", { onclick: () => act(older) }, "Older");
let newest = null; // id of the letter on top
let next = null; // cursor of the next page

const name = (line) => [line.pizza_id, line.size, ...line.toppings].join(", ");

function receipt({ lines, total, paid }) {
  return lines && h("div", {}, table([
    { title: "Pizza", cell: name },
    { title: "Each", number: true, cell: (line) => money(line.unit_price) },
    { title: "How many", number: true, cell: (line) => line.quantity },
    { title: "Amount", number: true, cell: (line) => money(line.amount) },
  ], lines), h("p", {}, "Total ", h("strong", {}, money(total)), ", paid ", money(paid)));
}

function refund({ refunded, refund_pending: pending }) {
  if (pending) return h("p", {}, "We owe you the money; it is on its way as soon as the bank answers.");
  return refunded && Number(refunded.amount) > 0 && h("p", {}, "Given back: ", h("strong", {}, money(refunded)));
}

function letter({ kind, content, order_id: order, created_at: at }) {
  return card(content.subject,
    h("p", {}, badge(kind.replaceAll("_", " "), KINDS[kind] ?? ""), ` ${moment(at)}, order `,
      h("span", { class: "mono" }, order.slice(-12))),
    content.reason && h("p", {}, `Reason: ${content.reason}`),
    receipt(content), refund(content));
}

const read = (after) => api(`/me/mailbox?limit=20${after ? `&after=${after}` : ""}`);

function turned(found) {
  next = found.next;
  more.hidden = next === null;
  return found.items.map(letter);
}

async function look() {
  const found = await read();
  const top = found.items[0]?.id ?? "";
  if (top === newest) return; // whoever reads older ones is not interrupted for nothing
  newest = top;
  show(list, top ? turned(found) : h("p", { class: "empty" }, "Nothing yet. Order something."));
}

async function older() {
  list.append(...turned(await read(next)));
}

async function download() {
  const data = new Blob([JSON.stringify(await api("/me/export"), null, 2)], { type: "application/json" });
  const link = h("a", { href: URL.createObjectURL(data), download: "my-data.json" });
  link.click();
  URL.revokeObjectURL(link.href);
}

async function leave() {
  if (!await confirm("Delete your name, addresses, letters and sessions? This cannot be undone.", "Delete")) return;
  if (!await act(() => api("/me", { method: "DELETE" }), "You are deleted.")) return;
  looking.stop();
  keepToken(null);
  show(page, h("h1", {}, "Goodbye"));
}

await signIn("your");
more.hidden = true;
show(page, h("div", { class: "row" }, h("h1", {}, "Mailbox"), h("button", { onclick: () => act(download) }, "My data"),
  h("button", { onclick: leave }, "Delete me")), list, more);
const looking = every(5, look);
