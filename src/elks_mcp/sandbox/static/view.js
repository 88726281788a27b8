// Which phone is open. It is part of the address, so that reload and the browser's back button work.

import { byId } from "./dom.js";

const NARROW = matchMedia("(max-width: 47.99rem)");
const TOOLS = "#tools";
const listeners = new Set();

export const isNarrow = () => NARROW.matches;

/** Return the number of the phone in the address, or null. */
export function openNumber() {
  try {
    const part = decodeURIComponent(location.hash.slice(1));
    return part.startsWith("+") ? part : null;
  } catch { // such as "#%"
    return null;
  }
}

export const onViewChange = (listener) => listeners.add(listener);

function go(hash, { back = false } = {}) {
  const target = hash || location.pathname;
  if (isNarrow() && back) history.pushState({ back: true }, "", target);
  else history.replaceState(history.state, "", target);
  show();
}

/** Open a phone. On a narrow page, "back" then leads to the list. */
export const openPhone = (number) => go(`#${number}`, { back: openNumber() === null });

/** Go back to the list of a narrow page. */
export function goBack() {
  if (history.state?.back) history.back();
  else go("");
}

export function toggleTools() {
  if (isNarrow()) {
    if (location.hash === TOOLS) goBack();
    else go(TOOLS, { back: true });
    return;
  }
  const open = localStorage.getItem("tools") !== "open";
  localStorage.setItem("tools", open ? "open" : "closed");
  show();
}

export const areToolsOpen = () => (isNarrow() ? location.hash === TOOLS : localStorage.getItem("tools") === "open");

/** Show the part of a narrow page that the address names, and tell the listeners. */
export function show() {
  document.body.dataset.view = location.hash === TOOLS ? "tools" : openNumber() ? "phone" : "list";
  byId("tools").hidden = !areToolsOpen();
  byId("tools-open").setAttribute("aria-expanded", String(areToolsOpen()));
  for (const listener of listeners) listener();
}

addEventListener("popstate", show);
NARROW.addEventListener("change", show);
