// The log of requests to the API: what was asked, what was answered, and why.

import { toCurl } from "./curl.js";
import { byId, copy, definitions, isolated, make, reconcile } from "./dom.js";
import { seconds } from "./format.js";
import { state, written } from "./store.js";

const SENDS = new Set(["/a1/sms", "/a1/mms", "/a1/calls"]);
const resource = (request) => request.path.toLowerCase().replace(/\/$/, "");
const isCall = (request) => request.method === "POST" && resource(request) === "/a1/calls";
const isSend = (request) => request.method === "POST" && SENDS.has(resource(request));
const isDryRun = (request) => isSend(request) && !isCall(request) && request.form.dryrun === "yes";
const isBad = (request) => request.status === null || request.status >= 400 || Boolean(request.fault);
const KINDS = [
  ["all", "All", () => true],
  ["sends", "Sends", (request) => isSend(request) && !isDryRun(request)],
  ["dryruns", "Dry runs", isDryRun],
  ["reads", "Reads", (request) => !isSend(request)],
  ["bad", "Problems", isBad],
];
let kind = "all";

function label(request) {
  if (isDryRun(request)) return "Dry run";
  if (isCall(request)) return "Call";
  if (isSend(request)) return "Send";
  return request.method === "GET" ? "Read" : request.method;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text || "(empty)";
  }
}

const explain = (name) => {
  const [, description, accepted] = state.choices.faults.find(([fault]) => fault === name) ?? [name, "", false];
  return `${name}: ${description}${accepted ? "; accepted" : ""}`;
};

/** Return the fields, the answer and the reason of a request. */
export function requestCard(request) {
  const fields = Object.entries({ ...request.query, ...request.form });
  const status = request.status === null ? "No answer (yet)" : String(request.status);
  return make("div", { class: "card" },
    make("p", { class: "mono" }, `${request.method} ${request.path}`),
    fields.length ? definitions(fields.map(([name, value]) => [name, value || "(empty)"])) : null,
    definitions([
      ["Answer", status],
      ["Reason", request.error],
      ["Fault", request.fault ? explain(request.fault) : ""],
      ["Login", request.authorized ? "" : "missing or wrong username or password"],
    ]),
    request.answer ? make("pre", { tabindex: "0", "aria-label": "Answer" }, isolated(pretty(request.answer))) : null,
    request.is_cut ? make("p", { class: "quiet" }, "A field is too long to copy the request as curl.") : make("button", {
      type: "button", class: "small", onclick: (event) => copyCurl(request, event.currentTarget),
    }, "Copy as curl"));
}

const copyCurl = (request, button) => copy(toCurl(request, location.origin, state.summary), button);

function fill(node, request) {
  const { to, message = request.form.voice_start } = request.form;
  const open = node.querySelector("details")?.open ?? false;
  const details = make("details", { open },
    make("summary", {},
      make("span", { class: `tag ${isDryRun(request) ? "dry" : isSend(request) ? "send" : "read"}` }, label(request)),
      make("span", { class: "what" }, isolated(to ? written(to) : request.path.replace(/^\/a1/, "") || "/"),
        message ? make("span", { class: "preview" }, isolated(message.slice(0, 100))) : null),
      make("span", { class: "end" },
        make("span", { class: isBad(request) ? "bad" : "good" }, request.status === null ? "no answer" : String(request.status)),
        make("span", { class: "when" }, seconds(request.at)))));
  const unfold = () => { if (details.open && details.children.length === 1) details.append(requestCard(request)); };
  details.addEventListener("toggle", unfold);
  if (open) unfold();
  node.replaceChildren(details);
}

function matches(request, words) {
  const { form, query, path, status, error, fault } = request;
  const haystack = [path, status, error, fault, ...Object.values(form), ...Object.values(query), written(form.to ?? "")];
  const text = haystack.join("\n").toLowerCase();
  return words.every((word) => text.includes(word));
}

export function drawRequests() {
  if (byId("tools").hidden || byId("requests-panel").hidden) return;
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const [, , fits] = KINDS.find(([name]) => name === kind);
  const found = [...state.requests.values()].filter((request) => fits(request) && matches(request, words));
  reconcile(byId("requests"), found.sort((a, b) => b.id - a.id), {
    key: (request) => String(request.id),
    version: (request) => `${request.status} ${request.fault} ${request.message_id}`,
    create: () => make("li"),
    fill,
  });
  if (!found.length) {
    const hint = state.requests.size ? "No request matches." : "No requests yet.";
    byId("requests").append(make("li", { class: "nothing", "data-key": "nothing" }, hint));
  }
}

function choose(name) {
  kind = name;
  for (const button of byId("kinds").children) button.setAttribute("aria-pressed", String(button.dataset.kind === kind));
  drawRequests();
}

export function startRequests() {
  byId("kinds").append(...KINDS.map(([name, title]) => make("button", {
    type: "button", class: "small", "data-kind": name, "aria-pressed": String(name === kind), onclick: () => choose(name),
  }, title)));
  byId("search").addEventListener("input", drawRequests);
}
