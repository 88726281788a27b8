// The list of phones.

import { shownNumber, unread } from "./arrivals.js";
import { summary } from "./calls.js";
import { byId, isolated, make, reconcile } from "./dom.js";
import { STATES, plural, time } from "./format.js";
import { pictureWords } from "./pictures.js";
import { callsOf, isLive, lastAt, post, sortedPhones, written } from "./store.js";
import { openPhone } from "./view.js";

/** Return the last two digits of a number, and a hue for them. */
export const badge = (number) => ({ text: number.slice(-2), hue: String(Number(number.slice(-2)) % 6) });

const words = ({ text, pictures }) => text || pictureWords(pictures);

function preview(phone) {
  const pending = phone.underway.at(-1), last = phone.texts.at(-1), called = callsOf(phone.number).at(-1);
  if (called && (isLive(called) || called.created_at === lastAt(phone))) return [isLive(called) ? "Call: " : "Called: ", summary(called)];
  if (pending && (!last || pending.created_at > last.at)) return [`${STATES[pending.status]}: `, words(pending)];
  if (last) return [last.direction === "written" ? "Answered: " : "", words(last)];
  return ["", phone.behaviour];
}

function fill(node, { phone, isShown }) {
  const { text, hue } = badge(phone.number), count = unread(phone), [prefix, said] = preview(phone), at = lastAt(phone);
  const button = node.firstElementChild;
  button.setAttribute("aria-current", String(isShown));
  button.replaceChildren(
    make("span", { class: "avatar", "data-hue": hue, "aria-hidden": "true" }, text),
    make("span", { class: "line" },
      make("strong", {}, written(phone.number)),
      make("span", { class: "when" }, at ? time(at) : "")),
    make("span", { class: "line" },
      make("span", { class: prefix === "Call: " ? "preview rings" : "preview" }, prefix, isolated(said.slice(0, 120))),
      count ? make("span", { class: "count" }, String(count), make("span", { class: "spoken" }, " unread")) : null),
  );
}

export function drawList() {
  const shown = shownNumber(), list = byId("phones");
  const items = sortedPhones().map((phone) => ({ phone, isShown: phone.number === shown }));
  reconcile(list, items, {
    key: ({ phone }) => phone.number,
    version: ({ phone, isShown }) => [isShown, unread(phone), written(phone.number), lastAt(phone), ...preview(phone)].join("\n"),
    create: ({ phone }) => make("li", {}, make("button", { type: "button", onclick: () => openPhone(phone.number) })),
    fill,
  });
  const focusable = list.querySelector('[aria-current="true"]') ?? list.querySelector("button");
  for (const button of list.querySelectorAll("button")) button.tabIndex = button === focusable ? 0 : -1;
  byId("list-title").textContent = items.length > 1 ? plural(items.length, "phone") : "Phones";
}

/** Move the focus among the phones by arrow keys. */
function moveFocus(event) {
  const buttons = [...byId("phones").querySelectorAll("button")];
  const at = buttons.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (at < 0 || to === undefined) return;
  event.preventDefault();
  buttons[Math.min(Math.max(to, 0), buttons.length - 1)].focus();
}

async function addPhone(event) {
  event.preventDefault();
  const field = byId("number");
  if (!field.value.trim()) return;
  const { number, error } = await post("phone", { number: field.value });
  byId("number-hint").textContent = error ?? "";
  if (error) return;
  field.value = "";
  openPhone(number);
}

export function startList() {
  byId("phones").addEventListener("keydown", moveFocus);
  byId("add").addEventListener("submit", addPhone);
}
