// What every page uses: elements, the API with its token, live streams, dialogs, words for numbers and times.
// Text from the API becomes text nodes only (`h`), never markup. The token is kept in this tab (sessionStorage)
// and travels in a header, never in an address.

export const page = document.getElementById("page");
const KEY = "pizzeria-token";

/** h("td", {class: "number", onclick: f}, "text", h("b", {}, 3)): an element; null and false children are left out. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

/** Put these children in place of what `parent` holds. */
export const show = (parent, ...children) => { parent.replaceChildren(...children.flat(Infinity).filter(Boolean)); return parent; };

/** A table: columns are {title, cell(row), number?}; without rows the sentence `empty`. */
export function table(columns, rows, empty = "Nothing here.") {
  if (!rows.length) return h("p", { class: "empty" }, empty);
  return h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, columns.map((c) => h("th", { class: c.number && "number", scope: "col" }, c.title)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, columns.map((c) => h("td", { class: c.number && "number" }, c.cell(row))))))));
}

export const badge = (text, kind = "") => h("span", { class: `badge ${kind}` }, text);
export const card = (title, ...children) => h("section", { class: "card stack" }, h("h2", {}, title), ...children);
export const money = (m) => (m == null ? "–" : new Intl.NumberFormat(undefined, { style: "currency", currency: m.currency ?? "EUR" }).format(Number(m.amount)));
export const clock = (time) => (time ? new Date(time).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" }) : "–");
export const moment = (time) => (time ? new Date(time).toLocaleString() : "–");

/** "4 s", "3 min 20 s", "2 h 5 min": a length of time in seconds. */
export function span(seconds) {
  if (seconds == null) return "–";
  const s = Math.round(Math.abs(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min${s % 60 ? ` ${s % 60} s` : ""}`;
  return `${Math.floor(s / 3600)} h${Math.floor((s % 3600) / 60) ? ` ${Math.floor((s % 3600) / 60)} min` : ""}`;
}
export const ago = (time) => (time ? `${span((Date.now() - new Date(time)) / 1000)} ago` : "–");

/** A short message in the corner; kind: "good", "bad" or none. */
export function toast(text, kind = "") {
  const shown = h("div", { class: kind }, text);
  document.getElementById("toasts").append(shown);
  setTimeout(() => shown.remove(), kind === "bad" ? 9000 : 4000);
}

/** Ask before something that cannot be undone; true when confirmed. */
export const confirm = (question, yes = "Yes") => dialog(question, [], yes).then(Boolean);

/** Ask for values: fields are {name, label, type?, value?, required?}; an object, or null when cancelled. */
export function dialog(title, fields, yes = "OK") {
  return new Promise((resolve) => {
    const inputs = fields.map((f) => h("label", {}, h("span", {}, f.label),
      h("input", { name: f.name, type: f.type ?? "text", value: f.value ?? "", required: f.required, autocomplete: f.autocomplete ?? "off" })));
    const form = h("form", { method: "dialog", class: "stack" }, h("h2", {}, title), inputs,
      h("div", { class: "row" }, h("button", { class: "primary", value: "yes" }, yes),
        h("button", { value: "no", formnovalidate: true }, "Cancel")));
    const box = h("dialog", {}, form);
    box.addEventListener("close", () => {
      const agreed = box.returnValue === "yes";
      const values = Object.fromEntries(new FormData(form));
      box.remove();
      resolve(agreed ? values : null);
    });
    document.body.append(box);
    box.showModal();
  });
}

/** What the API refused, with its problem document. */
export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail || body?.title || `The service answered ${status}.`);
    this.status = status;
    this.body = body ?? {};
  }
}

export const token = () => sessionStorage.getItem(KEY);
export function keepToken(value) { value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY); greet(); }

let asking = null;
/** Ask for a token unless there is one; role is a word for the person: "a cook's", "the manager's". */
export function signIn(role = "a staff", again = false) {
  if (token() && !again) return Promise.resolve(token());
  asking ??= dialog(`This page needs ${role} token`, [{ name: "token", label: "Token", type: "password", required: true }], "Sign in")
    .then((answer) => { asking = null; if (answer) keepToken(answer.token.trim()); return token(); });
  return asking;
}

async function send(path, { method = "GET", body, headers = {}, signal } = {}) {
  const all = { Accept: "application/json", ...headers };
  if (token()) all.Authorization = `Bearer ${token()}`;
  if (body !== undefined) all["Content-Type"] = "application/json";
  return fetch(path, { method, headers: all, body: body === undefined ? undefined : JSON.stringify(body), signal, cache: "no-store" });
}

/** Call the API: the JSON answer, or null without one. Throws Problem. Paths are absolute: "/orders". `full`: {status, headers, body}. */
export async function api(path, options = {}) {
  let answer;
  try {
    answer = await send(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { title: "The service does not answer." });
  }
  if (answer.status === 401) keepToken(null);
  const body = answer.status !== 204 && answer.headers.get("content-type")?.includes("json") ? await answer.json() : null;
  if (!answer.ok) throw new Problem(answer.status, body);
  return options.full ? { status: answer.status, headers: answer.headers, body } : body;
}

/**
 * Listen to server-sent events until `signal` aborts: on({event, data, id}). Reconnects by itself with
 * Last-Event-ID, backoff and jitter; state("live" | "away") tells how it goes. Ends when the stream says
 * `event: end`, or with Problem when it is refused.
 */
export async function live(path, on, { signal, state = () => {} } = {}) {
  let last = null;
  let failed = 0;
  while (!signal?.aborted) {
    try {
      const answer = await send(path, { headers: { Accept: "text/event-stream", ...(last && { "Last-Event-ID": last }) }, signal });
      if (answer.status >= 400 && answer.status < 500) throw new Problem(answer.status, await answer.json().catch(() => null));
      if (!answer.ok) throw new TypeError("away");
      state("live");
      for await (const event of events(answer.body)) {
        failed = 0;
        if (event.id !== null) last = event.id;
        if (event.event === "end") return;
        if (event.data !== null) on(event);
      }
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error instanceof Problem) throw error;
    }
    if (signal?.aborted) return;
    state("away");
    failed += 1;
    const longest = Math.min(500 * 2 ** failed, 10_000);
    await new Promise((resume) => setTimeout(resume, longest / 2 + Math.random() * longest / 2));
  }
}

async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let event = { event: "message", data: null, id: null };
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split(/\r\n|\n|\r/);
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (event.data !== null || event.id !== null || event.event !== "message") yield event;
        event = { event: "message", data: null, id: null };
        continue;
      }
      const [, field, text] = /^([^:]*):? ?(.*)$/s.exec(line);
      if (field === "event") event.event = text;
      if (field === "id") event.id = text;
      if (field === "data") event.data = event.data === null ? text : `${event.data}\n${text}`;
    }
  }
}

/** Run `work` now and every `seconds`, never twice at once; troubles become one toast until they end. */
export function every(seconds, work) {
  let running = false;
  let troubled = false;
  const run = async () => {
    if (running || document.hidden) return;
    running = true;
    try { await work(); troubled = false; } catch (error) {
      if (!troubled) toast(error.message, "bad");
      troubled = true;
    } finally { running = false; }
  };
  run();
  const timer = setInterval(run, seconds * 1000);
  document.addEventListener("visibilitychange", run);
  return { now: run, stop: () => { clearInterval(timer); document.removeEventListener("visibilitychange", run); } };
}

/** Do what a button says; a refusal becomes a toast. Returns whether it went well. */
export async function act(work, said) {
  try { await work(); if (said) toast(said, "good"); return true; } catch (error) { toast(error.message, "bad"); return false; }
}

function greet() {
  show(document.getElementById("who"), token()
    ? h("button", { onclick: () => { keepToken(null); location.reload(); } }, "Sign out") : null);
}

for (const link of document.querySelectorAll(".top a")) {
  if (link.getAttribute("href") === document.body.dataset.page) link.setAttribute("aria-current", "page");
}
show(page);
greet();
