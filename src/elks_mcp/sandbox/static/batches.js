// The batches: what a plan comes to, and how far those are that were started.

import { byId, definitions, isolated, list, make, reconcile } from "./dom.js";
import { plural } from "./format.js";
import { state } from "./store.js";

const states = new Map();

/** Return what a person needs to know about the plan of a batch. */
export const planParts = (batch) => [
  list("reasons", batch.reasons),
  definitions([...Object.entries(batch.details), ["Code", batch.code]]),
  batch.left_out.length ? make("h4", {}, "Left out") : null,
  list("reasons", batch.left_out),
  batch.samples.length ? make("h4", {}, plural(batch.samples.length, "sample")) : null,
  ...batch.samples.flatMap(([about, text]) => [
    make("p", { class: "hint" }, isolated(about)),
    make("p", { class: "bubble", dir: "auto" }, text),
  ]),
];

const progressParts = (batch) => [
  make("progress", { value: batch.ended, max: batch.total, "aria-label": "Texts that have ended" }),
  list("reasons", batch.reasons),
  definitions(Object.entries(batch.details)),
];

function fill(node, batch) {
  const parts = batch.total ? progressParts(batch)
    : [make("details", {}, make("summary", {}, "Recipients, cost and samples"), ...planParts(batch))];
  node.className = batch.state;
  node.replaceChildren(make("h3", {}, isolated(batch.title)), make("p", { class: "status" }, isolated(batch.status)), ...parts.filter(Boolean));
}

/** Say that a batch is not what it was, such as running. */
function announce(batches) {
  const changed = batches.filter(({ id, state }) => states.has(id) && states.get(id) !== state);
  if (changed.length) byId("spoken").textContent = changed.map(({ title, status }) => `${title}. ${status}`).join(" ");
  states.clear();
  for (const { id, state } of batches) states.set(id, state);
}

export function drawBatches() {
  const { batches } = state;
  byId("batches").hidden = !batches.length;
  reconcile(byId("batches-list"), batches, {
    key: (batch) => batch.id,
    version: (batch) => JSON.stringify(batch),
    create: () => make("li"),
    fill,
  });
  announce(batches);
}
