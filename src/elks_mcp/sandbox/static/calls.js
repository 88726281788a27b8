// Phone calls in words and sounds: how they ended, what was played, and what was pressed.

import { byId, copyButton, definitions, isolated, make } from "./dom.js";
import { money, plural, seconds } from "./format.js";
import { state, written } from "./store.js";

const SPOKEN = "en_US/";
const ACTIONS = { connect: "Connects to", hangup: "Hangs up", ivr: "Menu", play: "Plays", record: "Records" };

const length = (duration) => (duration < 60 ? `${duration} s` : `${Math.floor(duration / 60)} min ${duration % 60} s`);

/** Return how a call is, or how it ended. */
export function outcome(call) {
  if (call.is_ringing) return call.is_let_ring ? "Rings, and is not answered" : "Rings";
  if (call.is_answered) return call.is_by_voicemail ? "Voicemail answers" : "Answered";
  if (call.state === "busy") return "Busy";
  if (!call.started_at) return "Not answered";
  return `${call.is_by_voicemail ? "Voicemail answered" : "Answered"}, ${length(call.duration)}`;
}

/** Return one line about a call, for a list. */
export const summary = (call) => [outcome(call), call.keys && `pressed ${call.keys}`].filter(Boolean).join(", ");

/** Return the sound of an action: one that can be played here, or what is known of it. */
export function soundParts({ source, sha256 }, autoplay = false) {
  if (sha256) return [make("audio", { controls: true, preload: "metadata", autoplay, src: `/_sandbox/audio/${sha256}`, "aria-label": "Sound of this call" })];
  const text = source.startsWith(SPOKEN) ? `“${source.slice(SPOKEN.length)}”` : source;
  return [make("p", { class: "source", dir: "auto" }, text)];
}

/** Return the name of an action. */
export const actionName = ({ kind }) => ACTIONS[kind] ?? kind;

const actionItem = (action) => make("li", {},
  make("p", {}, make("strong", {}, actionName(action)),
    action.result ? make("span", { class: "quiet" }, " · ", isolated(action.result)) : null),
  ...soundParts(action));

const person = (number) => (written(number) === number ? number : `${written(number)} (${number})`);

function times(call) {
  const reached = [["Created", call.created_at], ["Answered", call.started_at], ["Ended", call.ended_at]];
  return make("ol", { class: "timeline" }, ...reached.filter(([, at]) => at).map(([name, at]) => make("li", {},
    make("strong", {}, name), make("span", { class: "when" }, seconds(at)))));
}

/** Return everything about a call. */
export function callParts(call, requestParts) {
  const over = !call.is_ringing && !call.is_answered;
  return [
    make("header", {}, make("h2", { id: "details-title" }, "Call"),
      make("button", { type: "button", class: "icon", "aria-label": "Close", onclick: () => byId("details").close() }, "✕")),
    definitions([
      ["State", `${outcome(call)} (${call.state})`],
      ["From", person(call.sender)],
      ["To", person(call.to)],
      ["Pressed", call.keys],
      ["Price", over ? money(call.cost, state.summary.currency) : ""],
      ["Recordings", call.recordings.length ? plural(call.recordings.length, "recording") : ""],
      ["Id", make("span", { class: "mono" }, call.id, " ", copyButton(() => call.id))],
    ]),
    make("h3", {}, "Timeline"), times(call),
    ...(call.actions.length ? [make("h3", {}, "Actions"), make("ol", { class: "sounds" }, ...call.actions.map(actionItem))] : []),
    ...requestParts,
  ];
}
