// The call of the open phone: it rings, is answered, and is ended.

import { actionName, outcome, soundParts } from "./calls.js";
import { byId, isolated, make, reconcile } from "./dom.js";
import { isLive, liveCalls, post, state, written } from "./store.js";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];
const NAMES = { "*": "Star", "#": "Hash" };
const answeredHere = new Set(), states = new Map();
const parts = {};
let drawn = null;

async function act(name, keys) {
  if (name === "answer") answeredHere.add(drawn);
  const { error } = await post("call", { call: drawn, do: name, keys });
  parts.error.textContent = error ?? "";
}

/** Return the call that a phone shows: one that goes on, or else the first that rings. */
function shownCall(phone) {
  const live = liveCalls(phone.number);
  return live.find((call) => call.is_answered) ?? live.find((call) => !call.is_let_ring) ?? live[0];
}

function drawSounds(call) {
  const sounds = call.actions.map((action, index) => ({ action, key: `${call.id} ${index}` }));
  reconcile(parts.sounds, sounds, {
    key: ({ key }) => key,
    version: ({ action }) => [action.kind, action.source, action.sha256].join("\n"),
    create: () => make("li"),
    fill: (node, { action }) => node.replaceChildren(
      make("p", { class: "quiet" }, actionName(action)), ...soundParts(action, answeredHere.has(call.id))),
  });
}

/** Say what has become of calls that this page knows. */
function announce() {
  for (const call of state.calls.values()) {
    const now = outcome(call), before = states.get(call.id);
    if (before && before !== now) byId("spoken").textContent = `Call to ${written(call.to)}: ${now}`;
    states.set(call.id, now);
  }
  for (const id of states.keys()) if (!state.calls.has(id)) states.delete(id);
}

export function drawCall(phone) {
  announce();
  const call = phone && shownCall(phone), panel = byId("call"), hadFocus = panel.contains(document.activeElement);
  panel.hidden = !call;
  byId("phone").dataset.call = call ? (call.is_answered ? "answered" : "rings") : "";
  if (!call) {
    if (drawn !== null && hadFocus) byId("phone-title").focus();
    drawn = null;
    return;
  }
  if (drawn !== call.id) parts.error.textContent = "";
  drawn = call.id;
  parts.title.replaceChildren("Call from ", isolated(written(call.sender)));
  parts.state.textContent = outcome(call);
  parts.ring.hidden = !call.is_ringing;
  parts.letRing.hidden = call.is_let_ring;
  parts.talk.hidden = !call.is_answered;
  parts.pressed.textContent = call.keys ? `Pressed ${call.keys}` : "";
  drawSounds(call);
  if (hadFocus && !document.activeElement.checkVisibility()) parts.title.focus();
}

function pressKey(event) {
  if (parts.talk.hidden || event.ctrlKey || event.metaKey || event.altKey || !KEYS.includes(event.key)) return;
  event.preventDefault();
  act("press", event.key);
}

const button = (label, name, attributes) => make("button", { type: "button", onclick: () => act(name), ...attributes }, label);

export function startCalls() {
  parts.title = make("h3", { id: "call-title", tabindex: "-1" });
  parts.state = make("p", { class: "call-state" });
  parts.sounds = make("ol", { class: "sounds", "aria-label": "What the phone plays" });
  parts.pressed = make("p", { class: "call-state" });
  parts.error = make("p", { class: "hint", role: "status" });
  parts.letRing = button("Let it ring", "let_ring", { class: "plain" });
  parts.ring = make("div", { class: "call-buttons" },
    button("Answer", "answer", { class: "main take" }), parts.letRing, button("Busy", "decline", { class: "plain" }));
  const keys = KEYS.map((key) => make("button", {
    type: "button", class: "key", "aria-label": NAMES[key] ?? key, onclick: () => act("press", key),
  }, key));
  parts.talk = make("div", {}, make("div", { class: "keypad", role: "group", "aria-label": "Keypad" }, ...keys),
    make("div", { class: "call-buttons" }, button("Hang up", "hang_up", { class: "main end-call" })));
  byId("call").append(parts.title, parts.state, parts.ring, parts.sounds, parts.pressed, parts.talk, parts.error);
  byId("call").addEventListener("keydown", pressKey);
}

export const countRinging = () => [...state.calls.values()].filter((call) => isLive(call) && call.is_ringing && !call.is_let_ring).length;
