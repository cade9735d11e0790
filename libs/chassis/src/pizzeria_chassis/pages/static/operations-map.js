// The picture of a service among its neighbours: what comes in on the left, what goes out on the right. The state of
// each connection is on its arrow in words, and in colour.
import { h, show } from "./pizzeria.js";

const WIDTH = 1040;
const ROW = 92;
const BOX = { width: 195, height: 56 };
const LEFT = 10;
const RIGHT = WIDTH - LEFT - BOX.width;
const MIDDLE = (WIDTH - BOX.width) / 2;

/** Like `h`, for SVG. */
function s(tag, props = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(props)) element.setAttribute(name, value);
  element.append(...children.flat(Infinity).filter(Boolean));
  return element;
}

const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/** The operations page at the address of a neighbour; nothing else of the address goes into the link. */
export function pageOf(address) {
  if (!URL.canParse(address)) return null;
  const url = new URL(address);
  // A bare name is one of the containers' own network. Compose publishes the same port where this page is.
  if (/^[a-z][a-z0-9_-]*$/.test(url.hostname) && url.hostname !== "localhost") url.hostname = location.hostname;
  return /^https?:$/.test(url.protocol) ? `${url.origin}/pages/operations` : null;
}

function arrow({ from, to, y, label, kind, words, name }) {
  const bend = (from + to) / 2;
  return s("g", { class: `arrow ${kind}`, "data-name": name },
    s("path", { class: "line", d: `M ${from} ${y.from} C ${bend} ${y.from}, ${bend} ${y.to}, ${to} ${y.to}` }),
    s("path", { class: "tip", d: `M ${to + 7} ${y.to} l -11 -5.5 v 11 z` }),
    s("text", { x: label.x, y: label.y, "text-anchor": label.anchor }, cut(words, 32), s("title", {}, words)));
}

function box(x, y, node, kind = "") {
  const drawn = s("g", { class: `node ${kind}`, transform: `translate(${x} ${y})` },
    s("rect", { width: BOX.width, height: BOX.height, rx: 10 }),
    s("text", { x: BOX.width / 2, y: node.below ? 24 : 33, "text-anchor": "middle", class: "title" }, cut(node.title, 25)),
    node.below && s("text", { x: BOX.width / 2, y: 43, "text-anchor": "middle", class: "below" }, cut(node.below, 32)),
    s("title", {}, [node.title, node.below].filter(Boolean).join(": ")));
  return node.link ? s("a", { href: node.link }, drawn) : drawn;
}

/** Draw what `read` of operations-state.js returned. */
export function drawMap(place, { service, incoming, outgoing, own }) {
  const rows = Math.max(incoming.length, outgoing.length, 1);
  const height = rows * ROW + 10;
  const at = (index, count) => (height - count * ROW) / 2 + index * ROW + ROW / 2;
  const centre = height / 2;
  // Arrows meet the middle box a little apart; words are at the other end, on the side that the arrow leaves free.
  const meet = (index, count) => centre + (index - (count - 1) / 2) * Math.min(14, (BOX.height - 14) / count);
  const side = (nodes, inwards) => nodes.map((node, index) => {
    const y = at(index, nodes.length);
    const x = inwards ? LEFT : RIGHT;
    const near = meet(index, nodes.length);
    const edge = inwards ? LEFT + BOX.width : MIDDLE + BOX.width;
    const far = inwards ? MIDDLE : RIGHT;
    return [
      arrow({ from: edge + 3, to: far - 9, y: inwards ? { from: y, to: near } : { from: near, to: y },
        label: { x: inwards ? edge + 6 : far - 16, y: y > near ? y + 20 : y - 9, anchor: inwards ? "start" : "end" },
        kind: node.kind, words: node.words, name: node.title }),
      box(x, y - BOX.height / 2, node),
    ];
  });
  const links = incoming.filter((node) => node.link);
  show(place,
    h("div", { class: "scroll" }, s("svg", { viewBox: `0 0 ${WIDTH} ${height}`, class: "map", role: "img",
      "aria-label": `${service}: ${[...incoming, ...outgoing].map((node) => `${node.title}, ${node.words}`).join("; ")}` },
    side(incoming, true), side(outgoing, false),
    box(MIDDLE, centre - BOX.height / 2, { title: service, below: own.words }, `own ${own.kind}`))),
    links.length ? h("p", { class: "small dim" }, "Operations of ",
      links.map((node, index) => [index ? ", " : null, h("a", { href: node.link, rel: "noreferrer" }, node.below)])) : null);
}

