// The list of all calls, newest first, in the developer tools.

import { summary } from "./calls.js";
import { openDetails } from "./details.js";
import { byId, isolated, make, reconcile } from "./dom.js";
import { money, seconds } from "./format.js";
import { state, written } from "./store.js";

function fill(node, call) {
  const over = !call.is_ringing && !call.is_answered;
  node.replaceChildren(make("button", { type: "button", onclick: () => openDetails(call.id) },
    make("span", { class: "what" }, isolated(written(call.to)), make("span", { class: "preview" }, summary(call))),
    make("span", { class: "end" },
      make("span", {}, over ? money(call.cost, state.summary.currency) : "ongoing"),
      make("span", { class: "when" }, seconds(call.created_at)))));
}

export function drawCallList() {
  if (byId("tools").hidden || byId("calls-panel").hidden) return;
  const calls = [...state.calls.values()].sort((a, b) => (a.created_at < b.created_at ? 1 : -1));
  reconcile(byId("calls"), calls, {
    key: (call) => call.id,
    version: (call) => [summary(call), call.cost, written(call.to)].join("\n"),
    create: () => make("li"),
    fill,
  });
  if (!calls.length) byId("calls").append(make("li", { class: "nothing", "data-key": "nothing" }, "No calls yet."));
}
