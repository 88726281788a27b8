// Everything about one text or call.

import { callParts } from "./calls.js";
import { byId, copyButton, definitions, isolated, make } from "./dom.js";
import { STATES, money, seconds } from "./format.js";
import { pictureElements } from "./pictures.js";
import { requestCard } from "./requests.js";
import { state, written } from "./store.js";

let shown = null, drawnVersion = "";

const person = (number) => make("span", {}, isolated(written(number)),
  written(number) === number ? null : make("span", { class: "quiet" }, ` ${number}`));

function timeline(message) {
  const reached = message.direction === "incoming" ? [["received", message.created_at]] : message.timeline;
  return make("ol", { class: "timeline" }, ...reached.map(([status, at]) => make("li", { class: status },
    make("strong", {}, status[0].toUpperCase() + status.slice(1)), make("span", { class: "when" }, seconds(at)))));
}

/** Return the request that sent a text or made a call, and its answer. */
function requestParts(id) {
  const request = [...state.requests.values()].find((asked) => asked.message_id === id);
  return request ? [make("h3", {}, "Request and answer"), requestCard(request)] : [];
}

function draw(message) {
  const { currency } = state.summary;
  byId("details").replaceChildren(
    make("header", {}, make("h2", { id: "details-title" }, message.kind === "mms" ? "MMS" : "Text"),
      make("button", { type: "button", class: "icon", "aria-label": "Close", onclick: () => byId("details").close() }, "✕")),
    ...pictureElements(message.pictures),
    message.text || message.kind === "sms" ? make("blockquote", { dir: "auto" }, message.text) : "",
    definitions([
      ["Status", message.status ? STATES[message.status] : "Received by the account"],
      ["From", person(message.sender)],
      ["To", person(message.to)],
      ["Parts", message.kind === "mms" ? "" : `${message.parts} (${message.encoding})`],
      ["Price", money(message.cost, currency)],
      ["Id", make("span", { class: "mono" }, message.id, " ", copyButton(() => message.id))],
      ["Flash", message.flash ? "yes" : ""],
    ]),
    make("h3", {}, "Timeline"), timeline(message),
    ...requestParts(message.id),
  );
}

/** Show a text or a call by its id. */
export function openDetails(id) {
  shown = id;
  drawnVersion = "";
  drawDetails();
  if (state.messages.has(id) || state.calls.has(id)) byId("details").showModal();
}

export function drawDetails() {
  const call = state.calls.get(shown);
  if (call) {
    const version = JSON.stringify(call);
    if (version !== drawnVersion) byId("details").replaceChildren(...callParts(call, requestParts(call.id)));
    drawnVersion = version;
    return;
  }
  const message = state.messages.get(shown);
  if (!message || message.status + message.id === drawnVersion) return;
  drawnVersion = message.status + message.id;
  draw(message);
}

export function startDetails() {
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  }
  byId("details").addEventListener("close", () => { shown = null; });
}
