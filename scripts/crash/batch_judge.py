"""Compare what became of the rows of batches with what the provider accepted and charged."""

from collections import Counter, defaultdict

from crash.batch_lane import BatchEvidence, Mailing
from crash.judge import Verdict, count_most_in_a_minute
from crash.state import UNFINISHED, BatchOrder

_SENT = frozenset({"sent", "delivered", "failed"})
_UNSENT = frozenset({"rejected", "cancelled", "expired"})
_OPEN = UNFINISHED | {"scheduled", "paused"}


def judge_batches(evidence: BatchEvidence) -> Verdict:
    """Judge a lane with batches."""
    plan = evidence.plan
    verdict = Verdict(plan.name, plan.seed, plan.quiet, plan.provider_delay, plan.lag)
    verdict.seconds = verdict.crashing_seconds = evidence.seconds
    verdict.faults = evidence.provider.injected
    accepted = Counter((each.to, each.text) for each in evidence.provider.box.accepted)
    by_batch: defaultdict[str, dict[int, list[BatchOrder]]] = defaultdict(lambda: defaultdict(list))
    for order in evidence.orders:
        by_batch[order.batch_id][order.row].append(order)
    for mailing in evidence.mailings:
        _judge_rows(verdict, mailing, by_batch.pop(mailing.batch, {}), accepted)
    wanted = {text for mailing in evidence.mailings for text in mailing.texts.values()}
    twice = [text for text, count in accepted.items() if count > 1]
    verdict.count_violation("rows sent twice", len(twice), f"{twice[:3]}")
    verdict.count_violation("texts of no row", len(accepted.keys() - wanted))
    verdict.count_violation("plans started twice", len(by_batch), f"{list(by_batch)[:3]}")
    _judge_sums(verdict, evidence)
    _judge_ends(verdict, evidence)
    verdict.figures = _count(evidence)
    return verdict


def _judge_rows(
    verdict: Verdict,
    mailing: Mailing,
    rows: dict[int, list[BatchOrder]],
    accepted: Counter[tuple[str, str]],
) -> None:
    """Check that each row of a batch has one order, which ended and says what happened."""
    verdict.count_violation("rows left out", len(mailing.texts) - mailing.rows, mailing.batch)
    for row, text in mailing.texts.items():
        states = [order.state for order in rows.get(row, [])]
        what = f"{mailing.batch}, {text}: {states}, accepted {accepted[text]}x"
        state = states[0] if states else "missing"
        is_lost = state == "missing" or (state in _SENT and not accepted[text])
        is_unsent = state in _UNSENT and not mailing.is_cancelled
        verdict.count_violation("rows lost", int(is_lost or is_unsent), what)
        verdict.count_violation("orders for one row", max(0, len(states) - 1), what)
        verdict.count_violation("rows without an end", int(state in _OPEN), what)
        verdict.count_violation("sent and said not to be", int(state in _UNSENT and accepted[text] > 0), what)
        verdict.count_violation("unknown without need", int(state == "unknown"), what)


def _judge_sums(verdict: Verdict, evidence: BatchEvidence) -> None:
    """Check that what is stored as charged is what the provider charged."""
    stored = sum(order.charge for order in evidence.orders if order.state in _SENT)
    charged = sum(charge.amount for charge in evidence.provider.box.charges)
    verdict.count_violation("sums that differ", int(stored != charged), f"{stored} stored, {charged} charged")
    most, allowed = count_most_in_a_minute(evidence.provider.paid), evidence.plan.per_minute
    verdict.count_violation("over rate", max(0, most - allowed), f"{most} in 60 s, {allowed} allowed")


def _judge_ends(verdict: Verdict, evidence: BatchEvidence) -> None:
    """Check that the processes ended by themselves, and answered what they should."""
    exits = evidence.exits
    verdict.count_violation("never settled", sum(not each.is_over for each in evidence.mailings))
    verdict.count_violation("unexpected errors", len(evidence.errors), f"{evidence.errors[:3]}")
    verdict.count_violation("bad ends", sum(code != 0 for code in exits), f"exit codes {exits}")
    verdict.count_violation("stack traces", len(evidence.traces), "\n".join(evidence.traces[:3]))
    verdict.count_violation("damaged files", int(evidence.integrity != "ok"), evidence.integrity)


def _count(evidence: BatchEvidence) -> dict[str, int]:
    states = Counter(order.state for order in evidence.orders)
    return {
        **evidence.counts,
        "faults injected": sum(evidence.provider.injected.values()),
        "batches": len(evidence.mailings),
        "rows of each": evidence.plan.rows,
        "orders": len(evidence.orders),
        "accepted": len(evidence.provider.box.accepted),
        "sent again after doubt": sum(order.attempts > 1 for order in evidence.orders),
        "cancelled rows": states["cancelled"],
        "most in 60 s": count_most_in_a_minute(evidence.provider.paid),
        "allowed in 60 s": evidence.plan.per_minute,
    }
