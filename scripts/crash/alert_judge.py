"""Compare what became of alerts with what the provider accepted and charged."""

from collections import Counter

from crash.alert_lane import PEOPLE, AlertEvidence, RaisedAlert
from crash.judge import Verdict
from crash.state import AlertRow

_SENT = frozenset({"sent", "delivered", "failed"})


def judge_alerts(evidence: AlertEvidence) -> Verdict:
    """Judge a lane with alerts."""
    plan = evidence.plan
    verdict = Verdict(plan.name, plan.seed, plan.quiet, plan.provider_delay, plan.lag)
    verdict.seconds = verdict.crashing_seconds = evidence.seconds
    verdict.faults = evidence.provider.injected
    by_id = {alert.id: alert for alert in evidence.alerts}
    for one in evidence.raised:
        _judge_one(verdict, evidence, one, by_id.get(one.id))
    extra = len(evidence.alerts) - len(evidence.raised)
    verdict.count_violation("alerts raised twice", max(0, extra))
    charged = sum(charge.amount for charge in evidence.provider.box.charges)
    stored = sum(each.charge or 0 for each in evidence.attempts if each.state in _SENT)
    verdict.count_violation("sums that differ", int(stored != charged), f"{stored} stored, {charged} charged")
    verdict.count_violation("unexpected errors", len(evidence.errors), f"{evidence.errors[:3]}")
    verdict.count_violation("stack traces", len(evidence.traces), "\n".join(evidence.traces[:3]))
    verdict.count_violation("damaged files", int(evidence.integrity != "ok"), evidence.integrity)
    verdict.figures = _count(evidence)
    return verdict


def _judge_one(verdict: Verdict, evidence: AlertEvidence, one: RaisedAlert, alert: AlertRow | None) -> None:
    """Judge one alert: who was texted, and what came after an answer."""
    if alert is None:
        verdict.count_violation("alerts lost", 1, f"{one.number}")
        return
    attempts = [each for each in evidence.attempts if each.alert_id == alert.id]
    accepted = Counter(each.to for each in evidence.provider.box.accepted if f"OK {one.code} " in each.text)
    accepted.update(
        each.form["to"] for each in evidence.calls if f"Alert {one.number:03}" in each.form["voice_start"]
    )
    what = f"{alert.id} is {alert.state}: {dict(accepted)}, {[each.state for each in attempts]}"
    twice = sum(count - 1 for count in accepted.values())
    verdict.count_violation("texted twice for a step", twice, what)
    positions = [each.position for each in attempts]
    verdict.count_violation("steps not in order", int(positions != list(range(len(positions)))), what)
    late = sum(alert.ended_at is None or each.at > alert.ended_at for each in attempts)
    verdict.count_violation("steps after the end", late, what)
    verdict.count_violation("alerts without an end", int(alert.ended_at is None), what)
    unsent = [each.state not in _SENT for each in attempts]
    if one.is_answered:
        is_known = alert.state == "acknowledged" or alert.late_at is not None
        verdict.count_violation("answers lost", int(not is_known), what)
        verdict.count_violation("people skipped", sum(unsent[:-1]), what)
    else:
        missing = len(PEOPLE) - len(attempts) + sum(unsent)
        verdict.count_violation("people skipped", missing, what)
        verdict.count_violation("wrong ends", int(alert.state != "unanswered"), what)


def _count(evidence: AlertEvidence) -> dict[str, int]:
    states = Counter(alert.state for alert in evidence.alerts)
    return {
        "kills": evidence.kills,
        "faults injected": sum(evidence.provider.injected.values()),
        "alerts": len(evidence.alerts),
        "acknowledged": states["acknowledged"],
        "unanswered": states["unanswered"],
        "steps": len(evidence.attempts),
        "accepted": len(evidence.provider.box.accepted),
        "calls": len(evidence.calls),
        "sent again after doubt": sum((each.tries or 0) > 1 for each in evidence.attempts),
    }
