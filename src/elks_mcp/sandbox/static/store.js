// The page's copy of the sandbox's state: filled by its event stream, changed through its control API.

export const state = {
  ready: false,
  online: true,
  summary: {},
  choices: { first: "", magic: [], behaviours: [], call_behaviours: [], faults: [] },
  phones: new Map(),
  messages: new Map(),
  calls: new Map(),
  requests: new Map(),
  numbers: new Map(),
  waiting: [], // texts and batches that wait for a person
  batches: [], // the other batches
};

const listeners = new Set();
const tabs = new BroadcastChannel("events");
const TOKEN = document.querySelector('meta[name="sandbox-token"]').content;
const KEYS = { phones: "number", messages: "id", calls: "id", requests: "id" };
let callsByPhone = null;

/** Call `listener` after each change of the state. */
export const subscribe = (listener) => listeners.add(listener);

export function changed() {
  for (const listener of listeners) listener();
}

/** Return a number as people write it; anything else as it is. */
export const written = (number) => state.numbers.get(number) ?? number;

/** Return the calls to a phone, oldest first. */
export function callsOf(number) {
  if (!callsByPhone) {
    callsByPhone = new Map();
    for (const call of state.calls.values()) callsByPhone.set(call.to, [...callsByPhone.get(call.to) ?? [], call]);
  }
  return callsByPhone.get(number) ?? [];
}

export const isLive = (call) => call.is_ringing || call.is_answered;

/** Return the calls of a phone that ring or go on. */
export const liveCalls = (number) => callsOf(number).filter(isLive);

/** Return the moment of the last thing that happened on a phone, or "". */
export function lastAt(phone) {
  const call = callsOf(phone.number).at(-1);
  return [phone.texts.at(-1)?.at ?? "", phone.underway.at(-1)?.created_at ?? "", call?.created_at ?? ""].sort().at(-1);
}

/** Return the phones, the one with the newest text or call first. */
export function sortedPhones() {
  const phones = [...state.phones.values()].map((phone) => [lastAt(phone), phone]);
  return phones.sort(([a], [b]) => (a < b ? 1 : a > b ? -1 : 0)).map(([, phone]) => phone);
}

function take(content) {
  callsByPhone = null;
  for (const [kind, key] of Object.entries(KEYS)) {
    for (const item of content[kind] ?? []) state[kind].set(item[key], item);
  }
  for (const { number, written: shown } of content.numbers ?? []) state.numbers.set(number, shown);
  if (content.choices) state.choices = content.choices;
  if (content.summary) takeSummary(content.summary);
}

function takeSummary(summary) {
  const before = state.summary;
  state.summary = summary;
  if (before.run && before.run !== summary.run) location.reload(); // another sandbox: other token, other scripts
  if (summary.takes_approvals && before.waiting !== summary.waiting) fetchWaiting();
  if (!summary.takes_approvals) state.waiting = state.batches = [];
}

async function fetchWaiting() {
  const answer = await fetch("/_sandbox/waiting", { headers: { "x-sandbox-token": TOKEN } });
  if (!answer.ok) return;
  const { waiting, batches, numbers } = await answer.json();
  for (const [number, shown] of Object.entries(numbers)) state.numbers.set(number, shown);
  state.waiting = [...waiting, ...batches.filter((batch) => batch.code)];
  state.batches = batches.filter((batch) => !batch.code);
  changed();
}

function takeEvent({ name, content }) {
  if (name === "error") state.online = false;
  if (name === "state") {
    for (const kind of Object.keys(KEYS)) state[kind].clear();
    state.ready = state.online = true;
  }
  if (content) take(content);
  changed();
}

/** Follow the sandbox's events, and pass them on to the page's other tabs. A tab that opens needs the whole state. */
function followEvents() {
  let source;
  const pass = (event) => { takeEvent(event); tabs.postMessage(event); };
  const open = () => {
    source?.close();
    const opened = source = new EventSource("/_sandbox/events");
    for (const name of ["state", "change"]) {
      opened.addEventListener(name, ({ data }) => pass({ name, content: JSON.parse(data) }));
    }
    opened.addEventListener("error", () => {
      pass({ name: "error" });
      const isOver = opened === source && opened.readyState === EventSource.CLOSED;
      if (isOver) setTimeout(open, 1000); // otherwise the browser tries again by itself
    });
  };
  tabs.onmessage = ({ data }) => { if (data.name === "opened") open(); };
  open();
  return new Promise(() => {}); // keeps the lock until this tab is closed
}

/** Receive the sandbox's events. One tab follows them for all: a browser allows six connections to a host. */
export function connect() {
  tabs.onmessage = ({ data }) => { if (data.name !== "opened") takeEvent(data); };
  tabs.postMessage({ name: "opened" });
  if (navigator.locks) navigator.locks.request("events", followEvents);
  else followEvents(); // a host that the browser does not count as this machine
}

/** Call the control API. Returns its answer, or {error} with a sentence. */
export async function call(method, path, body) {
  const headers = { "content-type": "application/json", "x-sandbox-token": TOKEN };
  try {
    const answer = await fetch(`/_sandbox/${path}`, { method, headers, body: body && JSON.stringify(body) });
    const type = answer.headers.get("content-type") ?? "";
    if (type.startsWith("application/json")) return await answer.json();
    return answer.ok ? {} : { error: "The sandbox could not do that." };
  } catch {
    return { error: "The sandbox does not answer." };
  }
}

export const post = (path, body) => call("POST", path, body);
