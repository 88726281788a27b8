// The page before there is a text, and how an assistant is connected.

import { byId, copyButton, make } from "./dom.js";
import { post, state, written } from "./store.js";
import { openPhone } from "./view.js";

let drawn = "", drawnSnippets = "";

async function open(number) {
  const { error } = await post("phone", { number });
  if (!error) openPhone(number);
}

function magicRow([number, what]) {
  return make("li", {}, make("button", { type: "button", onclick: () => open(number) },
    make("strong", {}, written(number)), make("span", { class: "preview" }, what)));
}

export function drawWelcome() {
  const isEmpty = state.ready && state.phones.size === 0;
  byId("welcome").hidden = !isEmpty;
  const version = `${state.choices.magic.length} ${byId("connect-open").hidden}`;
  if (!isEmpty || drawn === version) return;
  drawn = version;
  const ask = `Text ${written(state.choices.first)}: Hej! Kommer du på lördag?`;
  byId("welcome").replaceChildren(
    make("h2", {}, "No texts yet"),
    make("p", {}, "Everything here is simulated: no text reaches a real phone, and nothing costs money."),
    make("p", {}, "Ask your assistant:"),
    make("blockquote", {}, ask, " ", copyButton(() => ask)),
    make("p", {}, "The phone that receives a text appears here, and you can answer from it. Any number works. ",
      "These have a special behaviour:"),
    make("ul", { class: "magic" }, ...state.choices.magic.map(magicRow)),
  );
}

/** Return a sentence with its commands, which are in backticks, as code. */
const withCode = (sentence) => sentence.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));

export function drawConnect() {
  const snippets = Object.entries(state.summary.snippets ?? {});
  byId("connect-open").hidden = !snippets.length;
  const version = JSON.stringify(snippets);
  if (version === drawnSnippets) return;
  drawnSnippets = version;
  const dialog = byId("connect");
  dialog.replaceChildren(
    make("header", {}, make("h2", { id: "connect-title" }, "Connect your assistant"),
      make("button", { type: "button", class: "icon", "aria-label": "Close", onclick: () => dialog.close() }, "✕")),
    ...snippets.map(([client, [snippet, place]]) => make("section", {},
      make("div", { class: "line" }, make("h3", {}, client), copyButton(() => snippet)),
      make("pre", { tabindex: "0", "aria-label": `Snippet for ${client}` }, snippet),
      make("p", { class: "quiet" }, ...withCode(place)))));
}

export function startConnect() {
  byId("connect-open").addEventListener("click", () => byId("connect").showModal());
}
