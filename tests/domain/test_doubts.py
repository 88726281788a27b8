"""History as proof that a text was sent or was not, or as neither."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.domain.doubts import SKEW, Doubt, Similarity, Verdict, compare, judge
from elks_mcp.domain.models import Direction, Message
from elks_mcp.domain.orders import Draft
from elks_mcp.domain.payloads import Sms
from elks_mcp.domain.phone import Number, SenderId, written
from tests.support.provider import NOON, OURS, PHONE, a_draft

SECOND = timedelta(seconds=1)
BO = Number("+46701740606")
LONG = "Vi ses i morgon klockan tio, ta med legitimation!"


def a_doubt(order_id: str = "O-1", draft: Draft | None = None, seconds: float = 0) -> Doubt:
    return Doubt(order_id=order_id, draft=draft or a_draft("Hej!"), since=NOON + timedelta(seconds=seconds))


def a_message(
    message_id: str = "s1",
    *,
    text: str | None = "Hej!",
    to: str = PHONE.e164,
    sender: str = OURS.e164,
    seconds: float | None = 1,
    direction: Direction = Direction.OUTBOUND,
    is_reply: bool = False,
) -> Message:
    return Message(
        id=message_id,
        direction=direction,
        sender=sender,
        to=to,
        created_at=None if seconds is None else NOON + timedelta(seconds=seconds),
        status="sent",
        text=text,
        is_reply=is_reply,
    )


def verdict(*history: Message, draft: Draft | None = None) -> Verdict:
    return judge([a_doubt(draft=draft)], history)["O-1"]


# ── one order ──


def test_exactly_this_message_is_the_proof() -> None:
    message = a_message()
    assert verdict(a_message("s2", to=BO.e164), message) == Verdict(message=message, is_absent=True)


def test_an_empty_history_counts_as_an_absence() -> None:
    assert verdict() == Verdict(is_absent=True)


OTHERS = {
    "to somebody else": a_message(to=BO.e164),
    "another text": a_message(text="Hallå!"),
    "received": a_message(direction=Direction.INBOUND),
    "an answer by webhook": a_message(is_reply=True),
    "older": a_message(seconds=-SKEW.total_seconds() - 0.001),
    "without a time": a_message(seconds=None),
}


@pytest.mark.parametrize("message", OTHERS.values(), ids=OTHERS)
def test_a_message_that_cannot_be_ours_is_ignored(message: Message) -> None:
    assert verdict(message) == Verdict(is_absent=True)


SIMILAR = {
    "its text is not told": a_message(text=None),
    "from another sender": a_message(sender="Kliniken"),
    "in capitals": a_message(text="HEJ!"),
    "without the sign": a_message(text="Hej"),
    "with another space": a_message(text="Hej\u00a0!"),
    "in wide letters": a_message(text="Ｈｅｊ！"),
}


@pytest.mark.parametrize("message", SIMILAR.values(), ids=SIMILAR)
def test_a_message_that_could_be_ours_is_neither_proof_nor_absence(message: Message) -> None:
    assert verdict(message) == Verdict(message=None, is_absent=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LONG[:-20], Similarity.SIMILAR),
        (LONG + " Hälsningar, kliniken", Similarity.SIMILAR),
        (LONG[:27], Similarity.SIMILAR),  # twenty letters and digits of it
        (LONG[:22], Similarity.OTHER),
        (LONG[5:], Similarity.OTHER),
        (LONG.replace("tio", "elva"), Similarity.OTHER),
    ],
)
def test_a_truncated_text_is_similar_if_enough_of_it_is_left(text: str, expected: Similarity) -> None:
    assert compare(a_draft(LONG), a_message(text=text)) is expected


def test_a_text_of_symbols_matches_only_itself() -> None:
    assert compare(a_draft("👍"), a_message(text="👍")) is Similarity.SAME
    assert compare(a_draft("👍"), a_message(text="Hej")) is Similarity.OTHER


def test_a_name_as_sender_is_compared_as_it_is_written() -> None:
    draft = a_draft().model_copy(update={"sender": SenderId("Kliniken")})
    assert compare(draft, a_message(sender="Kliniken")) is Similarity.SAME
    assert compare(draft, a_message(sender="kliniken")) is Similarity.SIMILAR


def test_history_does_not_show_whether_a_text_was_a_flash_text() -> None:
    assert compare(a_draft(flash=True, key="k"), a_message()) is Similarity.SAME


@pytest.mark.parametrize(("seconds", "is_found"), [(-30, True), (-30.001, False), (0, True), (3600, True)])
def test_46elks_clock_may_be_half_a_minute_behind(seconds: float, *, is_found: bool) -> None:
    assert (verdict(a_message(seconds=seconds)).message is not None) == is_found
    assert timedelta(seconds=30) == SKEW


# ── several orders ──


def test_equal_orders_and_messages_are_matched_one_to_one_oldest_first() -> None:
    doubts = [a_doubt("O-2", seconds=5), a_doubt("O-1"), a_doubt("O-3", seconds=9)]
    newer, older = a_message("s2", seconds=6), a_message("s1")
    found = judge(doubts, [newer, older])
    assert [found[order_id].message for order_id in ("O-1", "O-2", "O-3")] == [older, newer, None]
    assert found["O-3"].is_absent, "each message is another order's"


def test_more_messages_than_orders_prove_nothing() -> None:
    found = judge([a_doubt("O-1"), a_doubt("O-2")], [a_message(f"s{number}") for number in range(3)])
    assert set(found.values()) == {Verdict(message=None, is_absent=False)}


def test_a_message_matched_to_one_order_causes_no_doubt_about_another() -> None:
    """The other differs in looks only, and both are in history: neither is taken for the other."""
    shouted = a_doubt("O-2", a_draft("HEJ!"))
    both = judge([a_doubt("O-1"), shouted], [a_message("s1"), a_message("s2", text="HEJ!")])
    assert {order_id: each.message and each.message.id for order_id, each in both.items()} == {
        "O-1": "s1",
        "O-2": "s2",
    }
    one = judge([a_doubt("O-1"), shouted], [a_message("s1")])
    assert one["O-2"] == Verdict(is_absent=True)


# ── whatever it is ──

TEXTS = ["Hej!", "HEJ", "Hej då", LONG, LONG[:30], "👍"]
drafts = st.builds(
    Draft,
    to=st.sampled_from([PHONE, BO]),
    payload=st.sampled_from(TEXTS).map(lambda text: Sms(text=text)),
    sender=st.sampled_from([OURS, SenderId("Kliniken")]),
)
doubts_of = st.lists(st.tuples(drafts, st.integers(0, 60)), max_size=6).map(
    lambda rows: [a_doubt(f"O-{number}", draft, at) for number, (draft, at) in enumerate(rows)]
)
histories = st.lists(
    st.builds(
        dict[str, Any],
        text=st.none() | st.sampled_from(TEXTS),
        to=st.sampled_from([PHONE.e164, BO.e164]),
        sender=st.sampled_from([OURS.e164, "Kliniken"]),
        seconds=st.none() | st.integers(-90, 90),
        direction=st.sampled_from(Direction),
        is_reply=st.booleans(),
    ),
    max_size=8,
).map(lambda rows: [a_message(f"s{number}", **row) for number, row in enumerate(rows)])


def is_exactly(draft: Draft, message: Message) -> bool:
    """Compute it in a different way than the code."""
    return (
        message.direction is Direction.OUTBOUND
        and not message.is_reply
        and (message.to, message.sender, message.text) == (draft.to.e164, written(draft.sender), draft.text)
    )


@given(doubts_of, histories)
def test_every_order_gets_a_verdict_and_no_message_belongs_to_two(
    doubts: list[Doubt], history: list[Message]
) -> None:
    found = judge(doubts, history)
    assert found.keys() == {doubt.order_id for doubt in doubts}
    matched = [each.message.id for each in found.values() if each.message]
    assert len(matched) == len(set(matched))


@given(doubts_of, histories)
def test_only_a_message_equal_to_the_order_and_not_older_is_proof(
    doubts: list[Doubt], history: list[Message]
) -> None:
    found = judge(doubts, history)
    for doubt in doubts:
        if message := found[doubt.order_id].message:
            assert is_exactly(doubt.draft, message)
            assert message.created_at
            assert message.created_at >= doubt.since - SKEW


@given(doubts_of, histories)
def test_an_order_is_not_absent_if_history_has_an_unmatched_equal_message(
    doubts: list[Doubt], history: list[Message]
) -> None:
    """The dangerous mistake: an absent order is sent again."""
    found = judge(doubts, history)
    matched = {each.message.id for each in found.values() if each.message}
    for doubt in doubts:
        spare = [
            message
            for message in history
            if message.id not in matched
            and is_exactly(doubt.draft, message)
            and message.created_at
            and message.created_at >= doubt.since - SKEW
        ]
        if spare:
            assert not found[doubt.order_id].is_absent


@given(doubts_of, histories)
def test_exactly_as_many_orders_are_absent_as_history_lacks(
    doubts: list[Doubt], history: list[Message]
) -> None:
    """At most as many equal orders are sent again as later messages are missing."""
    found = judge(doubts, history)
    for doubt in doubts:
        equals = [each for each in doubts if each.draft == doubt.draft]
        latest = max(each.since for each in equals)
        there = [
            message
            for message in history
            if is_exactly(doubt.draft, message) and message.created_at and message.created_at >= latest - SKEW
        ]
        again = [each for each in equals if found[each.order_id] == Verdict(is_absent=True)]
        assert len(again) <= max(0, len(equals) - len(there))


@given(doubts_of, histories, st.data())
def test_the_sequence_of_orders_and_messages_makes_no_difference(
    doubts: list[Doubt], history: list[Message], data: st.DataObject
) -> None:
    shuffled, mixed = data.draw(st.permutations(doubts)), data.draw(st.permutations(history))
    assert judge(shuffled, mixed) == judge(doubts, history)
