// The phone page: draws the state of the sandbox whenever it changes.

import { countUnread, markRead, noticeArrivals, shownNumber } from "./arrivals.js";
import { drawBatches } from "./batches.js";
import { drawConversation, startConversation } from "./conversation.js";
import { drawDetails, startDetails } from "./details.js";
import { byId } from "./dom.js";
import { money } from "./format.js";
import { drawList, startList } from "./list.js";
import { countRinging, startCalls } from "./ringing.js";
import { connect, state, subscribe, written } from "./store.js";
import { drawTools, startTools } from "./tools.js";
import { goBack, isNarrow, onViewChange, openNumber, openPhone, show, toggleTools } from "./view.js";
import { drawWaiting } from "./waiting.js";
import { drawConnect, drawWelcome, startConnect } from "./welcome.js";

const PATIENCE = 700;
let offlineSince = null;

function drawHead() {
  const { balance, currency, number, title } = state.summary;
  byId("heading").textContent = title || "Phones";
  byId("own").textContent = written(number);
  byId("balance").textContent = money(balance, currency);
}

/** Write the tab's title: what is unread, or that the sandbox has ended. */
function drawTitle(isGone) {
  const { title } = state.summary;
  const count = countUnread() + countRinging() + state.waiting.length;
  const before = isGone ? "Ended:" : count && `(${count})`;
  document.title = [before, title ? `${title} · Phones` : "Phones · 46elks sandbox"].filter(Boolean).join(" ");
}

/** Say that the sandbox is gone, unless it is back within a moment. */
function drawTrouble() {
  if (state.online) offlineSince = null;
  else if (offlineSince === null) {
    offlineSince = Date.now();
    setTimeout(drawTrouble, PATIENCE);
  }
  const isGone = offlineSince !== null && Date.now() - offlineSince >= PATIENCE;
  if (state.ready) drawTitle(isGone);
  const trouble = byId("trouble");
  if (trouble.hidden !== isGone) return;
  trouble.hidden = !isGone;
  document.body.classList.toggle("gone", isGone);
  trouble.textContent = isGone ? "The program that runs this sandbox has ended, or cannot be reached. "
    + "You see its last state. The page reconnects when the program is back at this address." : "";
}

function draw() {
  drawTrouble();
  if (!state.ready) return;
  drawHead();
  drawConnect();
  drawWaiting();
  drawBatches();
  drawList();
  drawConversation();
  drawWelcome();
  drawDetails();
  drawTools();
}

function update() {
  if (state.ready) noticeArrivals();
  const shown = shownNumber();
  if (shown && !isNarrow() && openNumber() !== shown) openPhone(shown); // stays, whichever phone is newest
  else draw();
}

function escape(event) {
  if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
  if (isNarrow() && document.body.dataset.view !== "list") goBack();
  else if (byId("tools").contains(document.activeElement)) {
    toggleTools();
    byId("tools-open").focus();
  } else byId("phones").querySelector('[aria-current="true"]')?.focus();
}

startList();
startConversation();
startCalls();
startDetails();
startTools();
startConnect();
addEventListener("keydown", escape);
document.addEventListener("visibilitychange", () => { markRead(); draw(); });
onViewChange(() => { markRead(); draw(); });
subscribe(update);
show();
connect();
