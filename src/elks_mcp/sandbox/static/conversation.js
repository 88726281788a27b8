// The open phone: its texts, and the answer to them.

import { shownNumber } from "./arrivals.js";
import { summary } from "./calls.js";
import { openDetails } from "./details.js";
import { byId, isolated, make, reconcile } from "./dom.js";
import { STATES, day, time } from "./format.js";
import { badge } from "./list.js";
import { attach, hasAttached, pictureElements, startPictures, takeAttached } from "./pictures.js";
import { drawCall } from "./ringing.js";
import { callsOf, isLive, post, state, written } from "./store.js";
import { goBack } from "./view.js";

const AT_ONCE = 200, NEAR_END = 80;
const SUGGESTIONS = ["JA", "NEJ", "STOP"];
const drafts = new Map();
let drawn = null, limit = AT_ONCE, isAtEnd = true;

/** Return what the screen of a phone shows: texts, days, texts that are not delivered, and calls that are over. */
function listEntries(phone) {
  const pending = phone.underway.filter((message) => !phone.texts.some((text) => text.message_id === message.id));
  const texts = [
    ...phone.texts.map((text, index) => ({ ...text, key: text.message_id ?? `text-${index}`, status: "delivered" })),
    ...pending.map((message) => ({
      ...message, key: message.id, message_id: message.id, direction: "received", at: message.created_at,
    })),
  ];
  const calls = callsOf(phone.number).filter((call) => !isLive(call));
  if (calls.length) {
    texts.push(...calls.map((call) => ({ key: call.id, called: call, at: call.created_at })));
    texts.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  }
  const entries = texts.length > limit ? [{ key: "earlier", more: texts.length - limit }] : [];
  let lastDay = "", lastSender = "";
  for (const text of texts.slice(-limit)) {
    const itsDay = day(text.at), isWritten = text.direction === "written";
    if (itsDay !== lastDay) entries.push({ key: `day-${itsDay}`, day: itsDay });
    lastDay = itsDay;
    if (text.called) { entries.push(text); continue; }
    const label = isWritten || text.sender === lastSender ? "" : written(text.sender);
    if (!isWritten) lastSender = text.sender;
    entries.push({ ...text, label, isWritten });
  }
  return entries;
}

function describe(entry) {
  if (entry.isWritten) return `Sent ${time(entry.at)}`;
  return entry.status === "delivered" ? `Delivered ${time(entry.at)}` : STATES[entry.status];
}

function fillEntry(node, entry) {
  if (entry.day) {
    node.className = "day";
    node.textContent = entry.day;
    return;
  }
  if (entry.more) {
    node.className = "day";
    const showMore = () => { limit += AT_ONCE; drawConversation(); };
    node.replaceChildren(make("button", { type: "button", class: "small", onclick: showMore }, `Show ${entry.more} earlier`));
    return;
  }
  if (entry.called) {
    node.className = "past-call";
    node.replaceChildren(make("button", { type: "button", onclick: () => openDetails(entry.key) },
      `Call ${time(entry.at)} · ${summary(entry.called)}`, make("span", { class: "spoken" }, ", details of this call")));
    return;
  }
  node.className = [entry.isWritten ? "mine" : "theirs", entry.flash && "flash", entry.status].filter(Boolean).join(" ");
  const open = () => { if (entry.message_id) openDetails(entry.message_id); };
  const clicked = () => { if (!getSelection().toString()) open(); };
  node.replaceChildren(...[
    entry.label && make("div", { class: "from" }, isolated(entry.label)),
    make("div", { class: "bubble", dir: "auto", onclick: clicked }, ...pictureElements(entry.pictures), entry.text),
    make("div", { class: "note" },
      entry.flash && make("em", {}, "Flash · "),
      entry.message_id ? make("button", { type: "button", onclick: open }, describe(entry),
        make("span", { class: "spoken" }, ", details of this text")) : describe(entry)),
  ].filter(Boolean));
}

function drawScreen(phone, isOther) {
  const screen = byId("screen");
  const staysAtEnd = isOther || isAtEnd;
  reconcile(screen, listEntries(phone), {
    key: (entry) => entry.key,
    version: (entry) => entry.day ?? entry.more ?? (entry.called && summary(entry.called)) ?? [entry.status, entry.at, entry.label, entry.flash].join("\n"),
    create: () => make("div"),
    fill: fillEntry,
  });
  if (!screen.children.length) {
    const hint = "No texts yet. Send one from your assistant, or write the first one here.";
    screen.append(make("div", { class: "nothing", "data-key": "nothing" }, hint));
  }
  if (staysAtEnd) scrollToEnd();
}

function scrollToEnd() {
  const screen = byId("screen");
  screen.scrollTop = screen.scrollHeight;
  isAtEnd = true;
}

/** Keep the newest text in sight while the screen becomes smaller or larger, unless a person has scrolled away. */
function followEnd() {
  const screen = byId("screen");
  screen.addEventListener("scroll", () => {
    isAtEnd = screen.scrollHeight - screen.scrollTop - screen.clientHeight < NEAR_END;
  });
  new ResizeObserver(() => { if (isAtEnd) scrollToEnd(); }).observe(screen);
}

function drawAnswer(phone, isOther) {
  const to = phone.answers_to ?? state.summary.number;
  byId("to").textContent = phone.can_answer ? `Text to ${written(to)}` : `${to} is a name: it cannot be answered`;
  for (const control of byId("answer").elements) control.disabled = !phone.can_answer;
  const canSuggest = phone.can_answer && phone.texts.at(-1)?.direction === "received";
  byId("suggestions").hidden = !canSuggest;
  byId("attach").classList.toggle("off", !phone.can_answer);
  if (isOther) {
    byId("text").value = drafts.get(phone.number) ?? "";
    grow();
  }
}

/** Return how a phone reacts to texts, and to calls if that is not the same. */
const describePhone = ({ behaviour, calls }) => (calls === behaviour || calls.startsWith("Rings") ? behaviour : `${behaviour} · ${calls}`);

export function drawConversation() {
  const phone = state.phones.get(shownNumber());
  byId("phone").hidden = !phone;
  drawCall(phone);
  if (!phone) { drawn = null; return; }
  const isOther = drawn !== phone.number;
  if (isOther) limit = AT_ONCE;
  drawn = phone.number;
  const { text, hue } = badge(phone.number), shown = written(phone.number);
  byId("avatar").textContent = text;
  byId("avatar").dataset.hue = hue;
  byId("phone-title").textContent = shown;
  byId("phone-about").replaceChildren(
    shown === phone.number ? "" : `${phone.number} · `, isolated(describePhone(phone)));
  drawScreen(phone, isOther);
  drawAnswer(phone, isOther);
}

function grow() {
  const field = byId("text");
  field.style.height = "auto";
  field.style.height = `${Math.min(field.scrollHeight + 2, 140)}px`;
}

async function answer(number, text, images) {
  const { error } = await post("reply", { number, text, images });
  if (error) byId("to").textContent = `Not sent. ${error}`;
  return !error;
}

async function submit(event) {
  event.preventDefault();
  const field = byId("text"), text = field.value, number = drawn;
  if (!text.trim() && !hasAttached()) return;
  const images = takeAttached();
  field.value = "";
  drafts.delete(number);
  grow();
  if (await answer(number, text.trim() ? text : "", images)) return;
  drafts.set(number, text);
  if (images) attach(images[0]);
  if (drawn === number) field.value = text;
}

export function startConversation() {
  followEnd();
  startPictures();
  byId("answer").addEventListener("submit", submit);
  byId("text").addEventListener("input", (event) => { drafts.set(drawn, event.target.value); grow(); });
  byId("text").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    byId("answer").requestSubmit();
  });
  byId("back").addEventListener("click", goBack);
  byId("suggestions").append(...SUGGESTIONS.map((text) =>
    make("button", { type: "button", class: "small", onclick: () => answer(drawn, text) }, text)));
}
