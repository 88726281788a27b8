"""Compare what the provider accepted and charged with what the servers acknowledged.

The provider's ledger decides. Equal texts to one number are judged together, since they cannot be
distinguished.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from crash.agent import REFUSED, Wish
from crash.evidence import Evidence
from crash.state import UNFINISHED, Order
from elks_mcp.sandbox.requests import ApiRequest

_DAY, _MINUTE = timedelta(hours=24), timedelta(minutes=1)
_SENT = frozenset({"sent", "delivered", "failed"})
_MOST_SHOWN = 20

Text = tuple[str, str]
"""Recipient and text."""


@dataclass(slots=True)
class Verdict:
    """The figures of one lane. All of `VIOLATIONS` have to be 0."""

    lane: str
    seed: int
    quiet: float
    provider_delay: float
    lag: float
    figures: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    violations: dict[str, int] = field(default_factory=dict)
    details: list[str] = field(default_factory=list)
    crashing_seconds: float = 0
    seconds: float = 0

    @property
    def is_clean(self) -> bool:
        """Whether there is no violation."""
        return not any(self.violations.values())

    def count_violation(self, what: str, count: int, detail: str = "") -> None:
        """Count violations of one kind."""
        self.violations[what] = self.violations.get(what, 0) + count
        if count and detail and len(self.details) < _MOST_SHOWN:
            self.details.append(f"{what}: {detail}")

    def as_json(self) -> dict[str, Any]:
        """Return all figures."""
        return {**asdict(self), "clean": self.is_clean}


def judge(evidence: Evidence) -> Verdict:
    """Judge a lane."""
    plan = evidence.plan
    verdict = Verdict(plan.name, plan.seed, plan.quiet, plan.provider_delay, plan.lag)
    verdict.crashing_seconds, verdict.seconds = evidence.crashing_seconds, evidence.seconds
    verdict.faults = evidence.injected
    _judge_texts(verdict, evidence)
    _judge_answers(verdict, evidence)
    _judge_waiters(verdict, evidence)
    _judge_budget(verdict, evidence)
    _judge_rate(verdict, evidence)
    _judge_end(verdict, evidence)
    verdict.figures |= _count(evidence)
    return verdict


def _judge_texts(verdict: Verdict, evidence: Evidence) -> None:
    """Compare for each text how often it was accepted, wanted, and known as sent."""
    orders = {order.id: order for order in evidence.orders}
    accepted = Counter((message.to, message.text) for message in evidence.box.accepted)
    wanted = _by_text(evidence.wishes)
    for text in accepted.keys() | wanted.keys():
        wishes = wanted.get(text, [])
        ids = {order_id for wish in wishes for order_id in wish.orders}
        states = Counter(orders[each].state if each in orders else "missing" for each in ids)
        sent = sum(states[state] for state in _SENT)
        count, what = accepted[text], f"{text[1]!r} accepted {accepted[text]}x, {_describe(wishes, orders)}"
        unsettled = sum(states[state] for state in UNFINISHED)
        doubles = max(count - len(wishes), count - sent - states["unknown"] - unsettled, 0)
        verdict.count_violation("duplicates", doubles, f"{what}; {_describe_timing(evidence, text)}")
        verdict.count_violation("losses", max(0, sent - count) + states["missing"], what)
        verdict.count_violation("never settled", unsettled, what)
        unjustified = states["unknown"] if text not in evidence.lookalikes else 0
        verdict.count_violation("unknown without need", unjustified, what)


def _describe_timing(evidence: Evidence, text: Text) -> str:
    """Return when a text was handed over and accepted, and when servers were frozen, in seconds."""
    handed = [each for each in evidence.paid if (each.form["to"], each.form["message"]) == text]
    accepted = [each for each in evidence.box.accepted if (each.to, each.text) == text]
    events = [(each.at, f"handed over ({each.fault or each.status})") for each in handed]
    events += [(each.created_at, "accepted") for each in accepted]
    if not events:
        return "never handed over"
    first, last = min(events)[0], max(events)[0]
    for freeze in evidence.freezes:
        if freeze.began <= last and freeze.ended >= first - _MINUTE:
            events += [(freeze.began, "one is frozen"), (freeze.ended, "it continues")]
    return ", ".join(f"{(at - first).total_seconds():.3f} {what}" for at, what in sorted(events))


def _judge_answers(verdict: Verdict, evidence: Evidence) -> None:
    """Check that each key has its own order, and that all calls were answered in the end."""
    states = {order.id: order.state for order in evidence.orders}
    owners: dict[str, Wish] = {}
    texts = {message.id: (message.to, message.text) for message in evidence.box.accepted}
    for wish in evidence.wishes:
        lies = sum(texts.get(each) != (wish.to, wish.text) for each in wish.messages)
        verdict.count_violation("untrue answers", lies, f"{wish.text!r}: {wish.messages}")
        lasting = [each for each in wish.orders if states.get(each) in {*_SENT, *UNFINISHED, "unknown"}]
        verdict.count_violation("orders for one call", max(0, len(lasting) - 1), f"{wish.text!r}: {lasting}")
        verdict.count_violation("never answered", int(not wish.last), repr(wish.text))
        for order_id in wish.orders:
            first = owners.setdefault(order_id, wish)
            verdict.count_violation("repeats swallowed", int(first is not wish), f"{wish.text!r}: {order_id}")


def _judge_waiters(verdict: Verdict, evidence: Evidence) -> None:
    """Check that each waiting caller received each answer of its phone once, and nothing else."""
    for waiter in evidence.waiters:
        what = f"{waiter.phone}: wanted {waiter.wanted}, received {waiter.received}"
        verdict.count_violation("answers missed", len(set(waiter.wanted) - set(waiter.received)), what)
        verdict.count_violation(
            "answers out of order", int(waiter.received != waiter.wanted[: len(waiter.received)]), what
        )
        verdict.count_violation("waiters harmed", len(waiter.harmed), f"{waiter.harmed[:3]}")
    if not evidence.waiters:
        for what in ("answers missed", "answers out of order", "waiters harmed"):
            verdict.count_violation(what, 0)


def _judge_budget(verdict: Verdict, evidence: Evidence) -> None:
    """Check that any 24 hours cost no more than the largest budget that a server had by then."""
    charges = evidence.box.charges
    for last, charge in enumerate(charges):
        spent = sum(each.amount for each in charges[: last + 1] if charge.at - _DAY < each.at)
        cap = max((cap.amount for cap in evidence.caps if cap.at <= charge.at), default=0)
        verdict.count_violation("over budget", int(spent > cap), f"{spent} of {cap} at {charge.at}")


def _judge_rate(verdict: Verdict, evidence: Evidence) -> None:
    """Check that no minute had more requests than allowed."""
    most, allowed = count_most_in_a_minute(evidence.paid), evidence.plan.per_minute
    verdict.count_violation("over rate", max(0, most - allowed), f"{most} in 60 s, {allowed} allowed")


def _judge_end(verdict: Verdict, evidence: Evidence) -> None:
    """Check that the servers ended by themselves and the file is not damaged."""
    verdict.count_violation(
        "bad ends", sum(code != 0 for code in evidence.exits), f"exit codes {evidence.exits}"
    )
    verdict.count_violation("stack traces", len(evidence.traces), "\n".join(evidence.traces[:3]))
    verdict.count_violation("damaged files", int(evidence.integrity != "ok"), evidence.integrity)


def _count(evidence: Evidence) -> dict[str, int]:
    states = Counter(order.state for order in evidence.orders)
    return {
        **evidence.counts,
        "faults injected": sum(evidence.injected.values()),
        "texts wanted": len(evidence.wishes),
        "repeats on purpose": len(evidence.wishes) - len(_by_text(evidence.wishes)),
        "calls": sum(wish.calls for wish in evidence.wishes),
        "refused": sum(wish.last == REFUSED for wish in evidence.wishes),
        "answers waited for": sum(len(waiter.received) for waiter in evidence.waiters),
        "waiting interrupted by a kill": sum(waiter.interrupted for waiter in evidence.waiters),
        "orders": len(evidence.orders),
        "accepted": len(evidence.box.accepted),
        "accepted MMS": sum(message.is_mms for message in evidence.box.accepted),
        "paid requests": len(evidence.paid),
        "sent again after doubt": sum(order.attempts > 1 for order in evidence.orders),
        "most in 60 s": count_most_in_a_minute(evidence.paid),
        "allowed in 60 s": evidence.plan.per_minute,
        "unknown": states["unknown"],
        "rejected, cancelled or expired": sum(states[each] for each in ("rejected", "cancelled", "expired")),
    }


def count_most_in_a_minute(paid: Iterable[ApiRequest]) -> int:
    """Return the largest number of requests that arrived within 60 seconds."""
    moments = [request.at for request in paid]
    first = most = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= _MINUTE:
            first += 1
        most = max(most, last - first + 1)
    return most


def _by_text(wishes: Iterable[Wish]) -> dict[Text, list[Wish]]:
    groups: defaultdict[Text, list[Wish]] = defaultdict(list)
    for wish in wishes:
        groups[wish.to, wish.text].append(wish)
    return groups


def _describe(wishes: list[Wish], orders: dict[str, Order]) -> str:
    known = [orders.get(each, each) for wish in wishes for each in wish.orders]
    answers = [f"{wish.last} after {wish.calls} calls: {wish.answer_text[:80]!r}" for wish in wishes]
    return f"wanted {len(wishes)}x; {known}; {answers}"
