"""Taint: the senders of shown texts, and the recipients that these taint."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.domain.models import Direction, Message, Taint
from elks_mcp.domain.phone import Number
from elks_mcp.domain.taint import TAINT_LASTS, TaintLog, find_taint
from tests.support.provider import NOON, OURS

ANNA, BO, CIA = Number("+46701740605"), Number("+46701740606"), Number("+46701740607")
MOMENT, HOUR = timedelta(microseconds=1), timedelta(hours=1)


def a_message(sender: str, direction: Direction = Direction.INBOUND) -> Message:
    return Message(
        id="s1", direction=direction, sender=sender, to=OURS.e164, created_at=NOON, status="received"
    )


def taints(taint_log: TaintLog, to: Number, now: datetime) -> bool:
    return find_taint(taint_log.list_active(now), to) is not None


def test_nothing_is_tainted_if_nothing_was_shown() -> None:
    assert not taints(TaintLog(), ANNA, NOON)
    taint_log = TaintLog()
    taint_log.record([], NOON)
    assert not taints(taint_log, ANNA, NOON)


def test_only_the_writer_may_be_answered() -> None:
    taint_log = TaintLog()
    taint_log.record([a_message(ANNA.e164)], NOON)
    assert not taints(taint_log, ANNA, NOON)
    assert taints(taint_log, BO, NOON)


def test_texts_of_two_people_taint_answers_to_both() -> None:
    taint_log = TaintLog()
    taint_log.record([a_message(ANNA.e164), a_message(BO.e164)], NOON)
    assert all(taints(taint_log, to, NOON) for to in (ANNA, BO, CIA))


def test_a_sender_name_is_a_stranger_to_every_recipient() -> None:
    taint_log = TaintLog()
    taint_log.record([a_message("Bank")], NOON)
    assert taints(taint_log, ANNA, NOON)


def test_our_own_texts_taint_nothing() -> None:
    taint_log = TaintLog()
    taint_log.record([a_message(OURS.e164, Direction.OUTBOUND)], NOON)
    assert not taints(taint_log, ANNA, NOON)


@pytest.mark.parametrize(
    ("later", "tainted"),
    [
        (timedelta(), True),
        (TAINT_LASTS - MOMENT, True),
        (TAINT_LASTS, False),
        (timedelta(days=1), False),
    ],
    ids=str,
)
def test_taint_lasts_for_half_an_hour(later: timedelta, *, tainted: bool) -> None:
    taint_log = TaintLog()
    taint_log.record([a_message(ANNA.e164)], NOON)
    assert taints(taint_log, BO, NOON + later) == tainted
    assert timedelta(minutes=30) == TAINT_LASTS


def test_showing_a_text_again_restarts_its_taint() -> None:
    taint_log = TaintLog()
    for minutes in (0, 20):
        taint_log.record([a_message(ANNA.e164)], NOON + timedelta(minutes=minutes))
    assert taints(taint_log, BO, NOON + timedelta(minutes=49))


@given(
    st.lists(st.tuples(st.sampled_from([ANNA, BO, CIA]), st.integers(0, 60)), max_size=8),
    st.sampled_from([ANNA, BO, CIA]),
    st.integers(0, 100),
)
def test_a_text_is_tainted_by_texts_of_others_in_the_last_half_hour(
    shown: list[tuple[Number, int]], to: Number, minute: int
) -> None:
    taint_log = TaintLog()
    for sender, at in sorted(shown, key=lambda each: each[1]):
        taint_log.record([a_message(sender.e164)], NOON + timedelta(minutes=at))
    expected = any(sender != to and at + 30 > minute for sender, at in shown)
    assert taints(taint_log, to, NOON + timedelta(minutes=minute)) == expected


def test_texts_shown_days_ago_no_longer_hold_sending() -> None:
    taint_log = TaintLog()
    taint_log.record([a_message(ANNA.e164)], NOON)
    taint_log.record([a_message(BO.e164)], NOON + timedelta(days=2))
    assert list(taint_log._shown) == [BO.e164]


def test_the_oldest_text_in_effect_decides_who_was_known_before() -> None:
    taint_log = TaintLog()
    old, new = (a_message(ANNA.e164).model_copy(update={"created_at": at}) for at in (NOON - HOUR, NOON))
    taint_log.record([old], NOON)
    taint_log.record([new], NOON + timedelta(minutes=29))
    assert find_taint(taint_log.list_active(NOON + timedelta(minutes=58)), BO) == Taint(
        created_at=NOON - HOUR
    )
    taint_log.record([new], NOON + HOUR)
    assert find_taint(taint_log.list_active(NOON + HOUR), BO) == Taint(created_at=NOON)
