// The texts that wait for a person: shown above everything else, with Approve and Decline.

import { byId, definitions, isolated, make, reconcile } from "./dom.js";
import { plural } from "./format.js";
import { post, state, written } from "./store.js";

function fill(node, entry) {
  const outcome = make("p", { class: "hint", role: "status" });
  const decide = async (approve) => {
    for (const button of node.querySelectorAll("button")) button.disabled = true;
    const { outcome: said, error } = await post("waiting", { code: entry.code, approve });
    byId("spoken").textContent = outcome.textContent = said ?? error;
    if (error) for (const button of node.querySelectorAll("button")) button.disabled = false;
  };
  const person = (number) => (written(number) === number ? number : `${written(number)} (${number})`);
  const title = make("h3", {}, "Text to ", isolated(written(entry.to)));
  node.replaceChildren(
    make("div", { class: "ask" },
      title,
      make("p", { class: "bubble", dir: "auto" }, entry.message),
      entry.reasons.length ? make("ul", { class: "reasons" }, ...entry.reasons.map((reason) => make("li", {}, isolated(reason)))) : null,
      definitions([["To", person(entry.to)], ["From", person(entry.sender)], ...Object.entries(entry.details), ["Code", entry.code]]),
      outcome),
    make("div", { class: "decide" },
      make("button", { type: "button", class: "main", onclick: () => decide(true) }, "Approve",
        make("span", { class: "spoken" }, ` the text to ${written(entry.to)}`)),
      make("button", { type: "button", class: "plain", onclick: () => decide(false) }, "Decline",
        make("span", { class: "spoken" }, ` the text to ${written(entry.to)}`))),
  );
}

let announced = 0;

export function drawWaiting() {
  const { waiting } = state;
  byId("waiting").hidden = !waiting.length;
  byId("waiting-title").textContent = `${plural(waiting.length, "text")} waiting for you`;
  reconcile(byId("waiting-list"), waiting, {
    key: (entry) => entry.code,
    version: (entry) => JSON.stringify(entry) + written(entry.to),
    create: () => make("li"),
    fill,
  });
  if (waiting.length > announced) byId("spoken").textContent = byId("waiting-title").textContent;
  announced = waiting.length;
}
