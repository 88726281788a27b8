"""The question about an alert: exact times and sums, and what they assume."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from elks_mcp.domain.alert_questions import describe_path, explain_caps, write_alert_question
from elks_mcp.domain.alerts import AlertPlan
from elks_mcp.domain.call_payload import Call
from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.escalation import Contacting, EscalationPath, Means, Stage
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Effect, Finding
from elks_mcp.domain.phone import Number
from elks_mcp.domain.policy import Policy
from elks_mcp.sending.page_alerts import describe_alert

FIRST, SECOND_PERSON = Number("+46701740620"), Number("+46701740621")
OURS = Number("+46701740699")
MINUTE = timedelta(minutes=1)
CALL = Call(text="Hej. Tryck 1.", digits=1, per_minute=8000)
WHY = (Finding(guard="confirm", effect=Effect.ASK, reason="The operator requires approval of every text."),)


def a_stage(to: Number, means: Means, wait: timedelta) -> Stage:
    price = Money(5200 if means is Means.SMS else 8000, "SEK")
    return Stage(means=means, people=(Contacting(to=to, price=price),), wait=wait)


def a_plan(*stages: Stage, **changes: Any) -> AlertPlan:
    path = EscalationPath(stages=stages or (a_stage(FIRST, Means.SMS, 5 * MINUTE),), rounds=1)
    plan = AlertPlan(
        id="E-ABCDEFGH",
        policy="jour",
        message="Hej",
        code="4711",
        sender=OURS,
        path=path,
        most=path.price,
        time_cap=120 * MINUTE,
        planned_at=datetime(2026, 11, 23, 12, 0, tzinfo=UTC),
    )
    return plan.model_copy(update=changes)


def ask(plan: AlertPlan, reasons: tuple[Finding, ...] = WHY) -> str:
    return write_alert_question(plan, reasons, Contacts())


@pytest.mark.parametrize(
    ("wait", "cap", "waits", "caps"),
    [
        (timedelta(seconds=90), 95 * MINUTE, "90 seconds", "95 minutes"),
        (timedelta(seconds=6), 1440 * MINUTE, "6 seconds", "24 hours"),
        (119 * MINUTE, 120 * MINUTE, "119 minutes", "2 hours"),
    ],
)
def test_p2_the_times_that_a_person_approves_are_exact(
    wait: timedelta, cap: timedelta, waits: str, caps: str
) -> None:
    plan = a_plan(a_stage(FIRST, Means.SMS, wait), time_cap=cap)
    question = ask(plan)
    assert f"then wait {waits}." in question
    assert f"At most 0.52 SEK and {caps}." in question
    assert describe_path(plan.path, str) == f"text {FIRST.e164}, wait {waits}"
    shown = describe_alert(plan, "A-ABC", Policy(), Contacts())
    assert shown.details["At most"] == f"0.52 SEK, {caps}"


def test_a_question_without_reasons_and_an_id_has_no_empty_words() -> None:
    question = ask(a_plan(id=""), ())
    assert "because of" not in question
    assert "Alert ," not in question
    assert question.endswith("The text gets a code of its own. It costs at most 0.52 SEK.")


def test_caps_that_cut_nothing_off_are_not_explained() -> None:
    assert explain_caps(a_plan()) == []


def test_a_question_says_what_the_caps_cut_off() -> None:
    stages = a_stage(FIRST, Means.SMS, 90 * MINUTE), a_stage(SECOND_PERSON, Means.SMS, 60 * MINUTE)
    plan = a_plan(*stages, most=Money(6000, "SEK"))
    question = ask(plan)
    assert "- Note: The whole path costs 1.04 SEK; steps beyond 0.60 SEK are skipped." in question
    assert "- Note: The whole path takes 150 minutes; the alert ends after 2 hours." in question
    assert f"Note: {explain_caps(plan)[0]}" in describe_alert(plan, "A-ABC", Policy(), Contacts()).reasons


def test_p5_a_question_says_what_the_most_assumes_about_calls() -> None:
    called = a_plan(a_stage(FIRST, Means.CALL, MINUTE), spoken=CALL)
    assert "- Note: The sum counts 1 minute for each call. If 46elks charges more for one, " in ask(called)
    assert "for each call" not in ask(a_plan())
    long = CALL.model_copy(update={"longest": 90})
    assert "The sum counts 2 minutes for each call." in ask(called.model_copy(update={"spoken": long}))
