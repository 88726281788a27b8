// Everything about one text.

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

function draw(message) {
  const { currency } = state.summary;
  const request = [...state.requests.values()].find((asked) => asked.message_id === message.id);
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
    ...(request ? [make("h3", {}, "Request and answer"), requestCard(request)] : []),
  );
}

/** Show a text by its id. */
export function openDetails(id) {
  shown = id;
  drawnVersion = "";
  drawDetails();
  if (state.messages.has(id)) byId("details").showModal();
}

export function drawDetails() {
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
