// The page's copy of the sandbox's state: filled by its event stream, changed through its control API.

export const state = {
  ready: false,
  online: true,
  summary: {},
  catalogue: { magic: [], behaviours: [], faults: [] },
  phones: new Map(),
  messages: new Map(),
  requests: new Map(),
  numbers: new Map(),
  waiting: [],
};

const listeners = new Set();
const TOKEN = document.querySelector('meta[name="sandbox-token"]').content;
const KEYS = { phones: "number", messages: "id", requests: "id" };

/** Call `listener` after each change of the state. */
export const subscribe = (listener) => listeners.add(listener);

export function changed() {
  for (const listener of listeners) listener();
}

/** Return a number as people write it; anything else as it is. */
export const written = (number) => state.numbers.get(number) ?? number;

/** Return the moment of the last thing that happened on a phone, or "". */
export function lastAt(phone) {
  return [phone.texts.at(-1)?.at ?? "", phone.underway.at(-1)?.created_at ?? ""].sort().at(-1);
}

/** Return the phones, the one with the newest text first. */
export function sortedPhones() {
  const phones = [...state.phones.values()].map((phone) => [lastAt(phone), phone]);
  return phones.sort(([a], [b]) => (a < b ? 1 : a > b ? -1 : 0)).map(([, phone]) => phone);
}

function take(content) {
  for (const [kind, key] of Object.entries(KEYS)) {
    for (const item of content[kind] ?? []) state[kind].set(item[key], item);
  }
  for (const { number, written: shown } of content.numbers ?? []) state.numbers.set(number, shown);
  if (content.catalogue) state.catalogue = content.catalogue;
  if (content.summary) takeSummary(content.summary);
}

function takeSummary(summary) {
  const before = state.summary;
  state.summary = summary;
  if (before.run && before.run !== summary.run) location.reload(); // another sandbox: other token, other scripts
  if (summary.takes_approvals && before.waiting !== summary.waiting) fetchWaiting();
  if (!summary.takes_approvals) state.waiting = [];
}

async function fetchWaiting() {
  const answer = await fetch("/_sandbox/waiting", { headers: { "x-sandbox-token": TOKEN } });
  if (!answer.ok) return;
  const { waiting, numbers } = await answer.json();
  for (const [number, shown] of Object.entries(numbers)) state.numbers.set(number, shown);
  state.waiting = waiting;
  changed();
}

/** Follow the sandbox's events, for as long as the page is open. */
export function connect() {
  const source = new EventSource("/_sandbox/events");
  source.addEventListener("state", (event) => {
    for (const kind of Object.keys(KEYS)) state[kind].clear();
    take(JSON.parse(event.data));
    state.ready = state.online = true;
    changed();
  });
  source.addEventListener("change", (event) => {
    take(JSON.parse(event.data));
    changed();
  });
  source.addEventListener("error", () => {
    state.online = false;
    changed();
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 1000); // otherwise it tries again by itself
  });
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
