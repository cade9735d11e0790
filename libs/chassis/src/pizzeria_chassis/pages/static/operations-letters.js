// Dead letters: the list with its filters, one of them in full, and what an operator decides about them.
import { act, ago, api, badge, confirm, dialog, every, h, moment, show, table } from "./pizzeria.js";
import { complaint, refusal } from "./operations-state.js";

const KINDS = { waiting: "warn", redriving: "info", redriven: "good", dropped: "" };
const REASONS = ["handler-failed", "invalid-payload", "malformed", "reclaim-limit", "rejected", "unknown-type"];
const MOST = 500;

const choice = (label, options, change) => {
  const select = h("select", { "aria-label": label, onchange: change }, options.map(([value, text]) => h("option", { value }, text)));
  return { select, label: h("label", {}, h("span", {}, label), select) };
};
const fact = (title, value) => [h("dt", {}, title), h("dd", {}, value ?? "–")];

/** The section; `streams`: names of what is consumed; `changed` is called after each decision. */
export function deadLetters(streams, changed) {
  const list = h("div", { id: "letters" });
  const one = h("div", { id: "letter" });
  const progress = h("div", { id: "redriving", role: "status" });
  const stream = choice("Stream", [["", "all"], ...streams.map((name) => [name, name])], first);
  const state = choice("State", [["waiting", "waiting"], ["redriving", "redriving"], ["redriven", "redriven"], ["dropped", "dropped"], ["", "all"]], first);
  const reason = choice("Reason", [["", "all"], ...REASONS.map((name) => [name, name])], first);
  const pace = h("input", { type: "number", value: "50", min: "0.1", max: "1000", step: "any", required: true });
  let starts = [0]; // of the pages up to the one that is shown: the last letter before each
  let opened = null;
  let watch = null;

  const query = (filters) => new URLSearchParams(Object.entries(filters).filter(([, value]) => value));
  const find = (filters) => api(`/ops/dead-letters?${query(filters)}`);

  const turn = (pages) => { starts = pages; return act(look); };
  function first() { return turn([0]); }

  async function look() {
    const asked = starts;
    const { items, next } = await find({ stream: stream.select.value, state: state.select.value, reason: reason.select.value, after: asked.at(-1) });
    if (asked !== starts) return; // another page was asked for meanwhile
    show(list, table([
      { title: "#", number: true, cell: (letter) => letter.id },
      { title: "Stream", cell: (letter) => letter.stream },
      { title: "Event", cell: (letter) => [letter.type ?? "–", h("div", { class: "dim small mono" }, letter.subject ?? letter.event_id)] },
      { title: "Reason", cell: (letter) => [badge(letter.reason, "bad"), h("div", { class: "dim small error" }, letter.error)] },
      { title: "Tries", number: true, cell: (letter) => letter.attempts },
      { title: "State", cell: (letter) => [badge(letter.state, KINDS[letter.state]), " ", letter.edited ? badge("edited", "info") : null] },
      { title: "Died", cell: (letter) => ago(letter.died_at) },
      { title: "", cell: (letter) => h("button", { onclick: () => act(() => open(letter.id)) }, "Look") },
    ], items, "No dead letters here."), h("div", { class: "row" },
      starts.length > 1 ? h("button", { onclick: () => turn(starts.slice(0, -1)) }, "Earlier") : null,
      next ? h("button", { onclick: () => turn([...starts, next]) }, "Later") : null));
    await refresh();
  }

  /** Show the open letter again when something became of it meanwhile, by this hand or another. */
  async function refresh() {
    if (opened === null) return;
    const letter = await api(`/ops/dead-letters/${opened.id}`);
    if (letter.state !== opened.state || letter.redrives !== opened.redrives || letter.died_at !== opened.died_at) draw(letter);
  }

  async function open(id) {
    draw(await api(`/ops/dead-letters/${id}`));
    one.scrollIntoView({ block: "nearest" });
  }

  function close() { opened = null; show(one); }

  function draw(letter) {
    opened = letter;
    const told = complaint();
    const decide = async (verb, body) => {
      told.say("");
      try {
        const now = await api(`/ops/dead-letters/${letter.id}${verb}`, { method: verb ? "POST" : "PATCH", body });
        draw(now);
        await changed();
      } catch (error) { told.say(refusal(error)); }
    };
    const redrive = async () => {
      if (await confirm(`Handle letter ${letter.id} again${letter.edited ? ", as edited" : ""}?`, "Redrive")) await decide("/redrive");
    };
    const drop = async () => {
      const why = await dialog(`Drop letter ${letter.id}? It will have no effect, and this cannot be undone.`, [{ name: "reason", label: "Reason", required: true }], "Drop it");
      if (why) await decide("/drop", { reason: why.reason });
    };
    const waits = letter.state === "waiting";
    show(one, h("section", { class: "card stack letter" },
      h("div", { class: "row spread" }, h("h2", {}, `Letter ${letter.id}`, " ", badge(letter.state, KINDS[letter.state])), h("button", { onclick: close }, "Close")),
      h("dl", {}, fact("Stream", letter.stream), fact("Type", letter.type), fact("Subject", letter.subject), fact("Event", letter.event_id),
        fact("Position", letter.position), fact("Reason", letter.reason), fact("Error", letter.error),
        fact("Tries", `${letter.attempts}, redriven ${letter.redrives} times`), fact("Died", moment(letter.died_at)),
        letter.due_at && fact(letter.state === "redriving" ? "Due" : "Decided", moment(letter.due_at))),
      letter.traceback ? h("details", {}, h("summary", {}, "Traceback"), h("pre", {}, letter.traceback)) : null,
      letter.event === null ? [h("h3", {}, "What came"), h("pre", {}, letter.entry ?? "Nothing that could be kept; the feed has the event.")]
        : waits ? editor(letter, decide) : [h("h3", {}, "Event"), h("pre", {}, JSON.stringify(letter.event, null, 2))],
      told.place,
      h("div", { class: "row" },
        waits ? h("button", { class: "primary redrive", onclick: redrive, disabled: letter.event === null && letter.reason === "malformed" }, "Redrive") : null,
        waits || letter.state === "redriving" ? h("button", { onclick: drop }, "Drop …") : null)));
  }

  function editor(letter, decide) {
    const wrong = complaint();
    const type = h("input", { value: letter.event.type, required: true, size: 40 });
    const was = JSON.stringify(letter.event.data, null, 2);
    const data = h("textarea", { rows: Math.min(20, was.split("\n").length + 2), spellcheck: "false", value: was, oninput: check });
    const save = h("button", { disabled: true }, "Save the edit");
    type.addEventListener("input", check);
    function check() {
      const same = data.value === was && type.value === letter.event.type;
      let body = null;
      try { body = JSON.parse(data.value); wrong.say(""); } catch (error) { wrong.say(`This is no JSON: ${error.message}`); }
      save.disabled = body === null || same;
      // Redriving now would handle what is saved, not what is on the screen.
      const redrive = one.querySelector("button.redrive");
      if (redrive) redrive.disabled = !same;
      return body;
    }
    save.addEventListener("click", () => decide("", { event: { ...letter.event, type: type.value, data: check() } }));
    const { data: _, type: __, ...fixed } = letter.event;
    return h("div", { class: "stack editor" },
      h("label", {}, h("span", {}, "Type"), type), h("label", {}, h("span", {}, "Data (JSON)"), data), wrong.place,
      h("div", { class: "row" }, save, letter.edited ? badge("edited", "info") : null),
      h("details", {}, h("summary", {}, "The rest of the event, which an edit may not change"), h("pre", {}, JSON.stringify(fixed, null, 2))));
  }

  async function redriveAll() {
    if (!pace.reportValidity()) return;
    const chosen = stream.select.value;
    const which = chosen ? `of ${chosen}` : "of all streams";
    if (!(await confirm(`Handle all waiting letters ${which} again, whatever their reason, ${pace.value} a second?`, "Redrive all"))) return;
    await act(async () => {
      let wish;
      try {
        wish = await api("/ops/dead-letters/redrive", { method: "POST", body: { per_second: Number(pace.value), ...(chosen && { stream: chosen }) } });
      } catch (error) { throw new Error(refusal(error)); }
      watch?.stop();
      if (wish.letters) watch = every(1, () => follow(wish.letters, chosen));
      else show(progress, h("p", {}, "There is nothing to redrive."));
      await changed();
    });
  }

  /** Say how far a redrive of all is: what is not redriving any more was handled, or died again. */
  async function follow(all, chosen) {
    const { items } = await find({ stream: chosen, state: "redriving", limit: MOST });
    const left = Math.min(items.length, all);
    const words = items.length < MOST ? `${all - left} of ${all} were tried again.` : `At least ${MOST} of ${all} are still to be tried.`;
    show(progress, h("div", { class: "row" }, h("progress", { max: all, value: all - left }), words));
    if (left) return;
    watch.stop();
    await changed();
  }

  return {
    look,
    section: h("div", { class: "stack" },
      h("div", { class: "row end" }, stream.label, state.label, reason.label,
        h("label", {}, h("span", {}, "Letters a second"), pace), h("button", { onclick: redriveAll }, "Redrive all …")),
      progress, list, one),
  };
}
