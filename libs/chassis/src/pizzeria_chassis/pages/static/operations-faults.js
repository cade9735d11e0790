// The fault switches of the demo: on for a number of seconds, or all off.
import { act, api, badge, confirm, h, show, span, table } from "./pizzeria.js";
import { refusal } from "./operations-state.js";

const UNITS = { latency: { label: "Milliseconds", value: "500" }, errors: { label: "Share (0 to 1)", value: "0.5" } };

/** The section; `targets`: what can have which fault; `changed` is called after each switch. */
export function faultSwitches(targets, changed) {
  const active = h("div");
  const kinds = Object.keys(targets).filter((kind) => targets[kind].length);
  const kind = h("select", { name: "kind", onchange: choose }, kinds.map((name) => h("option", {}, name)));
  const target = h("select", { name: "target" });
  const value = h("input", { name: "value", type: "number", step: "any", min: "0", required: true });
  const unit = h("span");
  const amount = h("label", {}, unit, value);
  const seconds = h("input", { name: "seconds", type: "number", value: "30", min: "1", max: "600", required: true });

  function choose() {
    show(target, targets[kind.value].map((name) => h("option", {}, name)));
    const measure = UNITS[kind.value];
    amount.hidden = !measure;
    value.disabled = !measure;
    if (measure) { unit.textContent = measure.label; value.value = measure.value; }
  }

  const told = (work) => async () => { try { await work(); } catch (error) { throw new Error(refusal(error)); } };
  async function switchOn(event) {
    event.preventDefault();
    const body = { kind: kind.value, target: target.value, seconds: Number(seconds.value), ...(UNITS[kind.value] && { value: Number(value.value) }) };
    await act(told(async () => { await api("/ops/faults", { method: "POST", body }); }), "Switched on.");
    await changed();
  }
  async function allOff() {
    if (!(await confirm("End all faults of this service?", "All off"))) return;
    await act(told(async () => { await api("/ops/faults", { method: "DELETE" }); }), "All off.");
    await changed();
  }

  choose();
  const off = h("button", { onclick: allOff }, "All off");
  return {
    section: h("div", { class: "stack", id: "faults" },
      h("form", { class: "row end", onsubmit: switchOn },
        h("label", {}, h("span", {}, "Fault"), kind), h("label", {}, h("span", {}, "Strikes"), target), amount,
        h("label", {}, h("span", {}, "For seconds"), seconds), h("button", { class: "primary" }, "Switch on"), off),
      active),
    draw({ items }) {
      off.disabled = !items.length;
      show(active, table([
        { title: "Fault", cell: (fault) => badge(fault.kind, "bad") },
        { title: "Means", cell: (fault) => fault.means },
        { title: "Left", number: true, cell: (fault) => span(fault.seconds_left) },
      ], items, "No fault is switched on."));
    },
  };
}
