// The texts and batches that wait for a person: shown above everything else, with Approve and Decline.

import { planParts } from "./batches.js";
import { byId, definitions, isolated, list, make, reconcile } from "./dom.js";
import { plural } from "./format.js";
import { post, state, written } from "./store.js";

const isBatch = (entry) => "samples" in entry;

const person = (number) => (written(number) === number ? number : `${written(number)} (${number})`);

/** Return what a person needs to know about a text. */
const textParts = (entry) => [
  make("p", { class: "bubble", dir: "auto" },
    entry.picture && make("img", { class: "picture", src: entry.picture, alt: entry.details.Picture ?? "Picture" }), entry.message),
  list("reasons", entry.reasons),
  definitions([["To", person(entry.to)], ["From", person(entry.sender)], ...Object.entries(entry.details), ["Code", entry.code]]),
];

function fill(node, entry) {
  const outcome = make("p", { class: "hint", role: "status" });
  const decide = async (approve) => {
    for (const button of node.querySelectorAll("button")) button.disabled = true;
    const { outcome: said, error } = await post("waiting", { code: entry.code, approve });
    byId("spoken").textContent = outcome.textContent = said ?? error;
    if (error) for (const button of node.querySelectorAll("button")) button.disabled = false;
  };
  const title = isBatch(entry) ? [isolated(entry.title)] : [entry.picture ? "MMS to " : "Text to ", isolated(written(entry.to))];
  const what = make("span", { class: "spoken" }, isBatch(entry) ? ` the batch of ${entry.title}` : ` the text to ${written(entry.to)}`);
  node.replaceChildren(
    make("div", { class: "ask" }, make("h3", {}, ...title), ...(isBatch(entry) ? planParts(entry) : textParts(entry)), outcome),
    make("div", { class: "decide" },
      make("button", { type: "button", class: "main", onclick: () => decide(true) }, "Approve", what),
      make("button", { type: "button", class: "plain", onclick: () => decide(false) }, "Decline", what.cloneNode(true))),
  );
}

/** Return how many texts and batches wait, in words; "" if none does. */
export function countWaiting() {
  const batches = state.waiting.filter(isBatch).length, texts = state.waiting.length - batches;
  return [texts && plural(texts, "text"), batches && plural(batches, "batch", "batches")].filter(Boolean).join(" and ");
}

let announced = 0;

export function drawWaiting() {
  const { waiting } = state;
  byId("waiting").hidden = !waiting.length;
  byId("waiting-title").textContent = `${countWaiting()} waiting for you`;
  reconcile(byId("waiting-list"), waiting, {
    key: (entry) => entry.code,
    version: (entry) => JSON.stringify(entry) + written(entry.to),
    create: () => make("li"),
    fill,
  });
  if (waiting.length > announced) byId("spoken").textContent = byId("waiting-title").textContent;
  announced = waiting.length;
}
