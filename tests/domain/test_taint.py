"""Whose words were shown, and to whom a text is tainted by them."""

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


def test_nothing_is_tainted_where_nothing_was_shown() -> None:
    assert not taints(TaintLog(), ANNA, NOON)
    taint_log = TaintLog()
    taint_log.record([], NOON)
    assert not taints(taint_log, ANNA, NOON)


def test_whoever_wrote_may_be_answered_and_nobody_else() -> None:
    taint_log = TaintLog()
    taint_log.record([a_message(ANNA.e164)], NOON)
    assert not taints(taint_log, ANNA, NOON)
    assert taints(taint_log, BO, NOON)


def test_where_two_wrote_each_may_be_speaking_of_the_other() -> None:
    taint_log = TaintLog()
    taint_log.record([a_message(ANNA.e164), a_message(BO.e164)], NOON)
    assert all(taints(taint_log, to, NOON) for to in (ANNA, BO, CIA))


def test_a_name_is_a_stranger_to_everybody() -> None:
    taint_log = TaintLog()
    taint_log.record([a_message("Bank")], NOON)
    assert taints(taint_log, ANNA, NOON)


def test_what_we_sent_ourselves_taints_nothing() -> None:
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
def test_words_are_at_work_for_half_an_hour(later: timedelta, *, tainted: bool) -> None:
    taint_log = TaintLog()
    taint_log.record([a_message(ANNA.e164)], NOON)
    assert taints(taint_log, BO, NOON + later) == tainted
    assert timedelta(minutes=30) == TAINT_LASTS


def test_being_shown_again_they_are_at_work_anew() -> None:
    taint_log = TaintLog()
    for minutes in (0, 20):
        taint_log.record([a_message(ANNA.e164)], NOON + timedelta(minutes=minutes))
    assert taints(taint_log, BO, NOON + timedelta(minutes=49))


@given(
    st.lists(st.tuples(st.sampled_from([ANNA, BO, CIA]), st.integers(0, 60)), max_size=8),
    st.sampled_from([ANNA, BO, CIA]),
    st.integers(0, 100),
)
def test_a_text_is_tainted_by_anybody_elses_words_of_the_last_half_hour(
    shown: list[tuple[Number, int]], to: Number, minute: int
) -> None:
    taint_log = TaintLog()
    for sender, at in sorted(shown, key=lambda each: each[1]):
        taint_log.record([a_message(sender.e164)], NOON + timedelta(minutes=at))
    expected = any(sender != to and at + 30 > minute for sender, at in shown)
    assert taints(taint_log, to, NOON + timedelta(minutes=minute)) == expected


def test_whose_words_were_shown_days_ago_is_held_no_longer() -> None:
    taint_log = TaintLog()
    taint_log.record([a_message(ANNA.e164)], NOON)
    taint_log.record([a_message(BO.e164)], NOON + timedelta(days=2))
    assert list(taint_log._shown) == [BO.e164]


def test_the_oldest_text_that_is_at_work_says_who_was_known_before() -> None:
    taint_log = TaintLog()
    old, new = (a_message(ANNA.e164).model_copy(update={"created_at": at}) for at in (NOON - HOUR, NOON))
    taint_log.record([old], NOON)
    taint_log.record([new], NOON + timedelta(minutes=29))
    assert find_taint(taint_log.list_active(NOON + timedelta(minutes=58)), BO) == Taint(
        created_at=NOON - HOUR
    )
    taint_log.record([new], NOON + HOUR)
    assert find_taint(taint_log.list_active(NOON + HOUR), BO) == Taint(created_at=NOON)
