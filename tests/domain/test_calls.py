"""Calls: how long they may last, their digits, their payload, and doubts about them."""

from datetime import timedelta
from typing import Any

import pytest

from elks_mcp.domain.call_doubts import judge_calls
from elks_mcp.domain.call_payload import Call
from elks_mcp.domain.calls import find_longest, parse_digits
from elks_mcp.domain.doubts import SKEW, Doubt, Verdict
from elks_mcp.domain.kinds import CALL, KINDS
from elks_mcp.domain.models import Direction, Message
from elks_mcp.domain.orders import Draft
from elks_mcp.domain.phone import Number
from tests.support.provider import NOON, OURS, PHONE

BO = Number("+46701740606")


def a_call(to: Number = PHONE, **fields: Any) -> Draft:
    """Return the draft of a call."""
    return Draft(to=to, payload=Call(**{"text": "Driften är nere.", **fields}), sender=OURS)


def doubts(*seconds: float, to: Number = PHONE) -> list[Doubt]:
    """Return doubts about calls whose attempts began at these times."""
    return [
        Doubt(order_id=f"O-{index}", draft=a_call(to), since=NOON + timedelta(seconds=each))
        for index, each in enumerate(seconds, 1)
    ]


def a_doubt(order_id: str, text: str, since: float, until: float | None = None, **more: Any) -> Doubt:
    """Return a doubt about a call that says this, whose attempt took from `since` to `until`."""
    at, end = (None if each is None else NOON + timedelta(seconds=each) for each in (since, until))
    return Doubt(order_id=order_id, draft=a_call(text=text), since=at or NOON, until=end, **more)


def found(verdicts: dict[str, Verdict]) -> dict[str, str | None]:
    """Return the id of the call of each order; None if it has none."""
    return {order: verdict.message.id if verdict.message else None for order, verdict in verdicts.items()}


def made(call_id: str = "c1", *, seconds: float | None = 1, **fields: Any) -> Message:
    """Return a call of history."""
    at = None if seconds is None else NOON + timedelta(seconds=seconds)
    usual = {"direction": Direction.OUTBOUND, "sender": OURS.e164, "to": PHONE.e164, "status": "ongoing"}
    return Message(id=call_id, created_at=at, **{**usual, **fields})


# ── doubts ──


def test_a_call_is_recognized_by_recipient_sender_and_time() -> None:
    call = made()
    assert judge_calls(doubts(0), [call]) == {"O-1": Verdict(message=call, is_absent=False)}


@pytest.mark.parametrize(
    "other",
    [
        made(to=BO.e164),
        made(sender=BO.e164),
        made(direction=Direction.INBOUND),
        made(seconds=-SKEW.total_seconds() - 1),
        made(seconds=301),
        made(seconds=None),
    ],
)
def test_another_call_proves_nothing(other: Message) -> None:
    assert judge_calls(doubts(0), [other]) == {"O-1": Verdict(message=None, is_absent=True)}


def test_more_calls_than_orders_are_ambiguous() -> None:
    assert judge_calls(doubts(0), [made("c1"), made("c2")]) == {"O-1": Verdict()}


def test_equal_orders_and_calls_are_matched_oldest_first() -> None:
    verdicts = judge_calls(doubts(10, 0), [made("c2", seconds=11), made("c1", seconds=1)])
    assert found(verdicts) == {"O-1": "c2", "O-2": "c1"}


def test_one_call_is_of_neither_of_two_orders_that_say_different_things() -> None:
    for call in (made(seconds=1), made(seconds=3)):
        verdicts = judge_calls([a_doubt("O-1", "Disk full", 0, 1), a_doubt("O-2", "Fire", 2, 3)], [call])
        assert verdicts == {"O-1": Verdict(), "O-2": Verdict()}


def test_as_many_calls_as_orders_are_theirs_in_order() -> None:
    pair = [a_doubt("O-1", "Disk full", 0, 1), a_doubt("O-2", "Fire", 2, 3)]
    calls = [made("c2", seconds=3), made("c1", seconds=1)]
    assert found(judge_calls(pair, calls)) == {"O-1": "c1", "O-2": "c2"}


@pytest.mark.parametrize(
    ("until", "seconds"),
    [
        (5, (1, 3)),  # the first attempt was still going on when the second began
        (None, (1, 3)),
        (1, (3, 3)),
    ],
)
def test_calls_whose_order_is_not_certain_are_of_neither(
    until: float | None, seconds: tuple[float, float]
) -> None:
    pair = [a_doubt("O-1", "Disk full", 0, until), a_doubt("O-2", "Fire", 2, 3)]
    calls = [made(f"c{number}", seconds=each) for number, each in enumerate(seconds)]
    assert judge_calls(pair, calls) == {"O-1": Verdict(), "O-2": Verdict()}


def test_orders_whose_calls_cannot_be_the_same_are_judged_by_themselves() -> None:
    pair = [a_doubt("O-1", "Disk full", 0, 1), a_doubt("O-2", "Fire", 600, 601)]
    verdicts = judge_calls(pair, [call := made(seconds=601)])
    assert verdicts == {"O-1": Verdict(is_absent=True), "O-2": Verdict(message=call)}


def test_a_call_may_be_of_an_order_that_stays_unknown() -> None:
    unknown = a_doubt("O-1", "Disk full", 0, is_decided=True)
    assert judge_calls([unknown, a_doubt("O-2", "Fire", 2, 3)], [made(seconds=3)])["O-2"] == Verdict()
    equal = judge_calls([unknown, a_doubt("O-2", "Disk full", 2, 3)], [made(seconds=3)])
    assert found(equal)["O-2"] == "c1"


def test_calls_that_ask_for_different_digits_differ() -> None:
    asking = Doubt(order_id="O-2", draft=a_call(text="Fire", digits=1), since=NOON)
    verdicts = judge_calls([a_doubt("O-1", "Fire", 0), asking], [made()])
    assert verdicts == {"O-1": Verdict(), "O-2": Verdict()}


def test_with_gaps_in_history_no_call_is_absent() -> None:
    assert judge_calls(doubts(0), [], has_gaps=True) == {"O-1": Verdict()}


def test_p4_a_call_that_history_does_not_show_is_not_made_again() -> None:
    assert not KINDS[CALL].is_tried_again


# ── length, digits, payload ──


@pytest.mark.parametrize(
    ("seconds", "digits", "longest"),
    [
        (1.2, 0, 13),
        (10, 0, 30),
        (10, 1, 3 * (10 + 8) + 10),  # the menu is played again, and once more than it says
        (5, 4, 2 * (5 + 4 * 8) + 10),  # three digits are pressed, and the menu is played again
        (20, 2, 3 * (20 + 8) + 8 + 10),
    ],
)
def test_a_call_may_last_as_long_as_the_longer_reading_of_its_menu(
    seconds: float, digits: int, longest: int
) -> None:
    assert find_longest(seconds, digits) == longest


@pytest.mark.parametrize(
    ("text", "digits"),
    [("", ""), ("1", "1"), ("12*#", "12*#"), ("12345", None), ("1 ", None), ("٣", None), ("1\n", None)],
)
def test_only_keys_of_a_phone_are_digits(text: str, digits: str | None) -> None:
    assert parse_digits(text, 4) == digits


def test_the_words_make_a_call_the_same_and_not_the_voice() -> None:
    assert a_call(audio="a" * 64).payload.identity == a_call(audio="b" * 64).payload.identity
    one, other = (a_call(text="", prompt="larm", audio=each * 64) for each in "ab")
    assert one.payload.identity != other.payload.identity


def test_p2_a_person_reads_the_words_or_which_recording_is_played() -> None:
    assert a_call().payload.shown_text == "Driften är nere."
    shown = a_call(text="", prompt="larm", audio="ab" * 32).payload.shown_text
    assert "'larm'" in shown
    assert "abababab" in shown


def test_p9_only_the_words_of_a_call_are_erased() -> None:
    assert frozenset({"text"}) == Call.PRIVATE
    assert "Driften" not in repr(a_call().payload)
