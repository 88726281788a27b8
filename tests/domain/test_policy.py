"""Policies: the texts that they allow, and the person who has to approve."""

from itertools import product

import pytest

from elks_mcp.domain.approval import check_liftable, choose_approver, reasons_to_ask
from elks_mcp.domain.orders import Approver, Effect, Finding
from elks_mcp.domain.phone import Number, Sender, SenderId
from elks_mcp.domain.policy import (
    Confirm,
    Mode,
    Policy,
)
from elks_mcp.errors import NotApproved

SHOP = Number("+46701740699")
ASK, WARN = Effect.ASK, Effect.WARN

LINK = Finding(guard="link", effect=ASK, reason="The text contains a web address.")
NIGHT = Finding(guard="night", effect=WARN, reason="It is night.")
TAINTED = Finding(guard="tainted", effect=ASK, reason="The assistant read texts from others.")
FINDINGS = [(), (LINK,), (NIGHT,), (LINK, NIGHT), (TAINTED,), (LINK, TAINTED, NIGHT)]


def expected_approver(
    confirm: Confirm, findings: tuple[Finding, ...], *, lifts: bool, can_ask: bool
) -> Approver | None:
    """Say it in other words than the code: None where nothing may be sent."""
    if lifts or confirm is Confirm.ALWAYS or TAINTED in findings:
        if confirm is Confirm.NEVER:
            return None
        return Approver.PERSON if can_ask else Approver.TERMINAL
    wanted = LINK in findings and confirm is Confirm.AUTO and can_ask
    return Approver.PERSON if wanted else Approver.POLICY


@pytest.mark.parametrize(
    ("confirm", "findings", "lifts", "can_ask"),
    list(product(Confirm, FINDINGS, [False, True], [False, True])),
)
def test_a_person_approves_if_the_operator_a_guard_or_a_dry_run_requires_it(
    confirm: Confirm, findings: tuple[Finding, ...], *, lifts: bool, can_ask: bool
) -> None:
    policy = Policy(dry_run=lifts, confirm=confirm, sender=SHOP)
    reasons = reasons_to_ask(policy, findings, lifts_dry_run=lifts)
    expected = expected_approver(confirm, findings, lifts=lifts, can_ask=can_ask)
    if expected is None:
        with pytest.raises(NotApproved, match="ELKS_CONFIRM=never"):
            choose_approver(policy, reasons, can_ask=can_ask)
    else:
        assert choose_approver(policy, reasons, can_ask=can_ask) is expected


@pytest.mark.parametrize(("confirm", "findings", "lifts"), list(product(Confirm, FINDINGS, [False, True])))
def test_the_reasons_to_ask_are_the_dry_run_or_the_operator_and_then_the_guards(
    confirm: Confirm, findings: tuple[Finding, ...], *, lifts: bool
) -> None:
    policy = Policy(dry_run=lifts, confirm=confirm, sender=SHOP)
    names = [reason.guard for reason in reasons_to_ask(policy, findings, lifts_dry_run=lifts)]
    first = ["dry_run"] if lifts else ["confirm"] if confirm is Confirm.ALWAYS else []
    assert names == first + [each.guard for each in findings if each is not NIGHT]


@pytest.mark.parametrize(
    ("confirm", "read_only", "can_ask"), list(product(Confirm, [False, True], [False, True]))
)
def test_a_dry_run_is_lifted_only_if_a_person_may_and_can_be_asked(
    confirm: Confirm, *, read_only: bool, can_ask: bool
) -> None:
    policy = Policy(read_only=read_only, confirm=confirm, sender=SHOP)
    obstacle = (
        "ELKS_READ_ONLY"
        if read_only
        else "ELKS_CONFIRM=never"
        if confirm is Confirm.NEVER
        else ""
        if can_ask
        else "no person can be asked"
    )
    if not obstacle:
        check_liftable(policy, can_ask=can_ask)
        return
    with pytest.raises(NotApproved, match=obstacle) as refusal:
        check_liftable(policy, can_ask=can_ask)
    assert ("DRY_RUN=false" in refusal.value.hint) != read_only


def test_p1_a_server_in_dry_run_schedules_nothing() -> None:
    with pytest.raises(NotApproved, match="would not send the text at its time") as refusal:
        check_liftable(Policy(sender=SHOP), can_ask=True, undone="send the text at its time")
    assert "DRY_RUN=false" in refusal.value.hint


@pytest.mark.parametrize(
    ("dry_run", "read_only", "simulated", "mode"),
    [
        (True, False, False, Mode.DRY_RUN),
        (False, False, False, Mode.LIVE),
        (False, True, False, Mode.DRY_RUN),
        (True, True, False, Mode.DRY_RUN),
        (True, False, True, Mode.SANDBOX),
        (False, False, True, Mode.SANDBOX),
        (False, True, True, Mode.SANDBOX),
    ],
)
def test_a_policy_is_live_only_without_dry_run_and_read_only(
    *, dry_run: bool, read_only: bool, simulated: bool, mode: Mode
) -> None:
    policy = Policy(dry_run=dry_run, read_only=read_only, simulated=simulated)
    assert policy.mode is mode
    assert policy.live == (not dry_run and not read_only)


@pytest.mark.parametrize(
    ("sender", "home"),
    [
        (None, "SE"),
        (SHOP, "SE"),
        (SenderId("Frisoren"), "SE"),
        (Number("+4741234567"), "NO"),
        (Number("+882161234567"), "SE"),
        (Number("+15551234567"), "SE"),
    ],
)
def test_national_numbers_belong_to_the_senders_country_or_sweden(sender: Sender | None, home: str) -> None:
    assert Policy(sender=sender).home == home
