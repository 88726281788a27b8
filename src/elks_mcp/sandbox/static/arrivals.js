// The arrival of texts and calls: unread counts, the phone that comes to the front, and its announcement.

import { byId } from "./dom.js";
import { plural } from "./format.js";
import { sortedPhones, state, written } from "./store.js";
import { isNarrow, openNumber, openPhone } from "./view.js";

const TYPED_RECENTLY = 10_000, SETTLED = 1_500, TOAST_STAYS = 8_000;
const read = new Map(), known = new Map(), rung = new Set();
let isFirst = true, typedAt = -Infinity, switchedAt = -Infinity, toastEnds = 0, announced = null;

const received = (phone) => phone.texts.filter((text) => text.direction === "received").length;

export const unread = (phone) => Math.max(0, received(phone) - (read.get(phone.number) ?? 0));

export const countUnread = () => [...state.phones.values()].reduce((sum, phone) => sum + unread(phone), 0);

/** Return the number of the phone that is shown, or null. */
export function shownNumber() {
  const number = openNumber();
  if (number && state.phones.has(number)) return number;
  return isNarrow() ? null : sortedPhones()[0]?.number ?? null;
}

/** Return whether a person is in the middle of something that another phone must not interrupt. */
function isBusy() {
  const focused = document.activeElement;
  if (byId("text").value.trim() || document.querySelector("dialog[open]")) return true;
  if (!document.hasFocus()) return false;
  const isField = focused.matches("input, textarea, select");
  return (isField && Date.now() - typedAt < TYPED_RECENTLY) || byId("tools").contains(focused);
}

/** Note the texts that have come since the last call, bring their phone to the front, or say where they are. */
export function noticeArrivals() {
  const fresh = [];
  for (const phone of state.phones.values()) {
    const now = received(phone), before = known.get(phone.number) ?? { received: 0, last: "" };
    const last = phone.underway.at(-1)?.id ?? before.last;
    if (now > before.received || last !== before.last) fresh.push({ phone, arrived: now > before.received });
    known.set(phone.number, { received: now, last });
    if (isFirst || now < (read.get(phone.number) ?? 0)) read.set(phone.number, now);
  }
  for (const number of known.keys()) {
    if (!state.phones.has(number)) { known.delete(number); read.delete(number); }
  }
  const ringing = listNewCalls();
  if (!isFirst) {
    react(fresh);
    for (const call of ringing) reactToCall(call);
  }
  isFirst = false;
  markRead();
}

/** Return the calls that ring and did not at the last call. */
function listNewCalls() {
  const ringing = [...state.calls.values()].filter((call) => call.is_ringing && !rung.has(call.id));
  for (const call of ringing) rung.add(call.id);
  return ringing;
}

function reactToCall(call) {
  const mayCome = call.to === openNumber() || (!isNarrow() && !isBusy());
  if (mayCome && call.to !== openNumber()) {
    switchedAt = Date.now();
    openPhone(call.to);
  }
  say(`Call to ${written(call.to)} from ${written(call.sender)}`, call.to, !mayCome);
}

function react(fresh) {
  const shown = shownNumber();
  const elsewhere = fresh.filter(({ phone }) => phone.number !== openNumber());
  if (fresh.some(({ phone, arrived }) => arrived && phone.number === shown)) lightUp();
  if (!elsewhere.length) return;
  const mayCome = elsewhere.length === 1 && !isNarrow() && !isBusy() && Date.now() - switchedAt > SETTLED;
  if (mayCome) {
    switchedAt = Date.now();
    openPhone(elsewhere[0].phone.number);
    if (elsewhere[0].arrived) lightUp();
  }
  announce(elsewhere.filter(({ arrived }) => arrived).map(({ phone }) => phone), !mayCome);
}

function announce(phones, withToast) {
  if (!phones.length) return;
  const [first] = phones, from = written(first.texts.at(-1).sender);
  const said = phones.length === 1 ? `New text to ${written(first.number)} from ${from}`
    : `New texts to ${plural(phones.length, "phone")}`;
  say(said, first.number, withToast);
}

function say(said, number, withToast) {
  byId("spoken").textContent = said;
  if (!withToast || (isNarrow() && !openNumber())) return;
  announced = number;
  byId("toast-text").textContent = said;
  byId("toast").hidden = false;
  byId("toast-show").onclick = () => { byId("toast").hidden = true; openPhone(number); };
  clearTimeout(toastEnds);
  toastEnds = setTimeout(() => { byId("toast").hidden = true; }, TOAST_STAYS);
}

function lightUp() {
  const phone = byId("phone");
  phone.classList.remove("lit");
  void phone.offsetWidth; // starts the animation again
  phone.classList.add("lit");
}

/** Count the texts of the shown phone as read, if a person can see them. */
export function markRead() {
  const phone = state.phones.get(shownNumber());
  if (phone?.number === announced) byId("toast").hidden = true;
  if (phone && !document.hidden) read.set(phone.number, received(phone));
}

addEventListener("input", () => { typedAt = Date.now(); });
