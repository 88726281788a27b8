// The switches for a person: phones, the network, the clock, and faults of the API.

import { shownNumber } from "./arrivals.js";
import { byId, isolated, make } from "./dom.js";
import { seconds } from "./format.js";
import { call, post, state, written } from "./store.js";
import { countWaiting } from "./waiting.js";

const BEHAVIOURS = {
  delivers: "Receives texts", slow: "Is slow", off: "Is off", fails: "Fails", says_stop: "Answers STOP",
};
const CALLS = {
  rings: "Rings", answers: "Answers", presses: "Presses 1", busy: "Is busy", no_answer: "Never answers", voicemail: "Voicemail",
};
const STEPS = [[2, "2 s"], [60, "1 min"], [3600, "1 h"]];
const SCOPES = [
  ["real", "Texts and calls that are sent", { method: "POST", dryrun: false }],
  ["dry", "Dry runs", { method: "POST", dryrun: true }],
  ["reads", "Reads", { method: "GET" }],
  ["all", "All requests", {}],
];
const parts = {};

async function act(path, body) {
  const { error } = await post(path, body);
  parts.outcome.textContent = error ?? "";
}

/** Return to the first state, and decline what waits for a person: the phones it was for are gone. */
async function reset() {
  const { waiting } = state;
  const declined = waiting.length ? ` ${countWaiting()} waiting for you will be declined.` : "";
  if (!confirm(`Delete all texts, calls, requests and faults of this sandbox?${declined}`)) return;
  for (const { code } of waiting) await post("waiting", { code, approve: false });
  await act("reset", {});
}

function section(title, ...content) {
  return make("section", {}, make("h3", {}, title), ...content);
}

const button = (label, onclick, attributes = {}) => make("button", { type: "button", class: "small", onclick, ...attributes }, label);

function phoneSection() {
  const behave = (behaviour, text) => act("behaviour", { number: shownNumber(), behaviour, text });
  const buttons = Object.entries(BEHAVIOURS).map(([name, label]) =>
    button(label, () => behave(name), { "data-behaviour": name, "aria-pressed": "false" }));
  const text = make("input", { "aria-label": "What this phone answers", placeholder: "Answers …", maxlength: "300" });
  const form = make("form", { class: "field" }, text, make("button", {}, "Set"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (text.value.trim()) behave("answers", text.value);
    text.value = "";
  });
  parts.phone = make("p", { class: "quiet" });
  parts.behaviours = make("div", { class: "kinds" }, ...buttons);
  const react = (behaviour) => act("call-behaviour", { number: shownNumber(), behaviour, digits: "1" });
  parts.called = make("p", { class: "quiet" });
  parts.calls = make("div", { class: "kinds", role: "group", "aria-label": "How this phone reacts to calls" },
    ...Object.entries(CALLS).map(([name, label]) =>
      button(label, () => react(name), { "data-behaviour": name, "aria-pressed": "false" })));
  return section("This phone", parts.phone, parts.behaviours, form, parts.called, parts.calls);
}

function networkSection() {
  const toggle = () => act("fail-next", { fails: !state.summary.fails_next });
  parts.failsNext = button("Next text fails", toggle, { "aria-pressed": "false" });
  return section("The network", make("div", { class: "kinds" }, parts.failsNext, button("Reset the sandbox", reset, { class: "small danger" })));
}

function clockSection() {
  parts.clock = make("p", { class: "quiet" });
  const steps = STEPS.map(([length, label]) => button(`+ ${label}`, () => act("clock", { seconds: length })));
  return section("The clock", parts.clock, make("div", { class: "kinds" }, ...steps));
}

function faultSection() {
  parts.fault = make("select", { id: "fault", onchange: drawFault });
  parts.scope = make("select", { id: "fault-scope" }, ...SCOPES.map(([name, label]) => make("option", { value: name }, label)));
  parts.always = make("input", { type: "checkbox" });
  parts.description = make("p", { class: "quiet", role: "status" });
  parts.injected = make("ul", { class: "injected" });
  parts.remove = button("Remove all faults", () => call("DELETE", "faults"));
  const form = make("form", {}, make("label", { for: "fault" }, "Next answer of the API"), parts.fault, parts.description,
    make("label", { for: "fault-scope" }, "Applies to"), parts.scope,
    make("label", { class: "check" }, parts.always, "every time, until removed"), make("button", {}, "Inject"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const [, , scope] = SCOPES.find(([name]) => name === parts.scope.value);
    act("faults", { fault: parts.fault.value, ...scope, times: parts.always.checked ? null : 1 });
  });
  return section("Faults of the API", form, parts.injected, parts.remove);
}

function drawFault() {
  const [, description, accepted] = state.choices.faults.find(([name]) => name === parts.fault.value) ?? [];
  if (!description) return;
  const effect = accepted ? "The text goes out and is charged." : "The text does not go out.";
  parts.description.textContent = `${description[0].toUpperCase()}${description.slice(1)}. ${effect}`;
}

/** Mark the button of the behaviour that a phone has. */
function mark(buttons, behaviours, phone, current) {
  const name = behaviours.find(([, description]) => description === current)?.[0];
  for (const each of buttons.children) {
    each.disabled = !phone;
    each.setAttribute("aria-pressed", String(each.dataset.behaviour === name));
  }
}

export function drawSimulation() {
  if (byId("tools").hidden || byId("simulate-panel").hidden) return;
  const { choices, summary } = state, phone = state.phones.get(shownNumber());
  parts.phone.replaceChildren(phone ? isolated(`${written(phone.number)}: ${phone.behaviour}`) : "Open a phone first.");
  parts.called.textContent = phone ? `When it is called: ${phone.calls}` : "";
  mark(parts.behaviours, choices.behaviours, phone, phone?.behaviour);
  mark(parts.calls, choices.call_behaviours, phone, phone?.calls);
  parts.failsNext.setAttribute("aria-pressed", String(summary.fails_next));
  parts.clock.textContent = summary.manual_clock ? `Stopped at ${seconds(summary.stopped_at)}. Advance it by:`
    : "Carry out now what is due within this time:";
  if (!parts.fault.children.length) {
    parts.fault.append(...choices.faults.map(([name]) => make("option", { value: name }, name)));
    drawFault();
  }
  parts.injected.replaceChildren(...summary.faults.map((fault) => make("li", {},
    make("strong", {}, fault.fault), ` ${[fault.method, fault.dryrun === true && "dry runs", fault.dryrun === false && "no dry runs",
      fault.left === null ? "every time" : `${fault.left} left`].filter(Boolean).join(", ")}`)));
  parts.remove.hidden = !summary.faults.length;
}

export function startSimulation() {
  parts.outcome = make("p", { class: "hint", role: "status" });
  byId("simulate-panel").append(parts.outcome, phoneSection(), networkSection(), clockSection(), faultSection());
}
