// Times, money and states as people read them.

const TIME = new Intl.DateTimeFormat("sv-SE", { hour: "2-digit", minute: "2-digit" });
const SECONDS = new Intl.DateTimeFormat("sv-SE", { timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long" });

export const time = (at) => TIME.format(new Date(at));
export const seconds = (at) => SECONDS.format(new Date(at));

export function day(at) {
  const date = new Date(at);
  return date.toDateString() === new Date().toDateString() ? "Today" : DAY.format(date);
}

export const money = (amount, currency) => `${(amount / 10000).toFixed(2)} ${currency}`;

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

export const STATES = {
  created: "On its way",
  sent: "Sent, not delivered yet",
  delivered: "Delivered",
  failed: "Failed, never arrived",
};
