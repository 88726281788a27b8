// The panel for developers: its tabs, and how to reach the API.

import { drawCallList } from "./calllist.js";
import { byId, copyButton, definitions, make } from "./dom.js";
import { money } from "./format.js";
import { drawRequests, startRequests } from "./requests.js";
import { drawSimulation, startSimulation } from "./simulate.js";
import { state, written } from "./store.js";
import { toggleTools } from "./view.js";

let drawnApi = "";

function drawApi() {
  const { balance, currency, number, password, username, webhook_ports: ports } = state.summary;
  const version = [number, password, username, ports, balance].join("\n");
  if (version === drawnApi) return;
  drawnApi = version;
  const copied = (text) => make("span", { class: "mono" }, text, " ", copyButton(() => text));
  byId("api-panel").replaceChildren(
    make("p", { class: "quiet" }, "Any client of 46elks' API can use this sandbox. It sends nothing and costs nothing."),
    definitions([
      ["Address", copied(`${location.origin}/a1`)],
      ["API username", copied(username)],
      ["API password", copied(password)],
      ["The account's number", copied(number)],
      ["As people write it", written(number)],
      ["Balance", money(balance, currency)],
      ["Webhooks", ports.length ? `to this machine, port ${ports.join(", ")}` : "none: no --webhook-port was given"],
    ]));
}

export function drawTools() {
  drawRequests();
  drawCallList();
  drawSimulation();
  if (state.ready) drawApi();
}

function choose(tab) {
  for (const each of byId("tabs").children) {
    const isChosen = each === tab;
    each.setAttribute("aria-selected", String(isChosen));
    each.tabIndex = isChosen ? 0 : -1;
    byId(each.getAttribute("aria-controls")).hidden = !isChosen;
  }
  drawTools();
}

function moveTab(event) {
  const tabs = [...byId("tabs").children], at = tabs.indexOf(document.activeElement);
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step || at < 0) return;
  const next = tabs[(at + step + tabs.length) % tabs.length];
  choose(next);
  next.focus();
}

export function startTools() {
  startRequests();
  startSimulation();
  byId("tools-open").addEventListener("click", toggleTools);
  byId("tools-close").addEventListener("click", () => { toggleTools(); byId("tools-open").focus(); });
  byId("tabs").addEventListener("click", (event) => { if (event.target.role === "tab") choose(event.target); });
  byId("tabs").addEventListener("keydown", moveTab);
}
