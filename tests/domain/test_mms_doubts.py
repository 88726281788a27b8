"""Whether a message in 46elks' history is an MMS whose answer was lost."""

from base64 import b64encode
from datetime import timedelta
from hashlib import sha1
from typing import Any

import pytest

from elks_mcp.domain.doubts import Doubt, Similarity
from elks_mcp.domain.mms_doubts import compare_mms, judge_mms
from elks_mcp.domain.mms_payload import Mms, PreparedImage
from elks_mcp.domain.models import Direction, Message
from elks_mcp.domain.orders import Draft
from elks_mcp.domain.phone import Number, SenderId
from tests.support.provider import NOON

CONTENT = b"a picture"
DIGEST, OTHER_DIGEST = (sha1(each, usedforsecurity=False).hexdigest() for each in (CONTENT, b"another"))
OURS, PHONE = Number("+46701740699"), Number("+46701740605")
IMAGE = PreparedImage(
    name="cat.png",
    data_url=f"data:image/png;base64,{b64encode(CONTENT).decode()}",
    digest="0" * 64,
    width=1,
    height=1,
    size=9,
)


def a_draft(text: str = "Hej", sender: Number | SenderId = OURS) -> Draft:
    return Draft(to=PHONE, payload=Mms(text=text, image=IMAGE), sender=sender)


def a_message(message_id: str = "m1", **more: Any) -> Message:
    fields = {
        "id": message_id,
        "direction": Direction.OUTBOUND,
        "sender": OURS.e164,
        "to": PHONE.e164,
        "created_at": NOON,
        "status": "sent",
        "text": "Hej",
        "is_picture": True,
        "image_digests": (DIGEST,),
    }
    return Message(**(fields | more))


@pytest.mark.parametrize(
    ("draft", "message", "similarity"),
    [
        (a_draft(), a_message(), Similarity.SAME),
        (a_draft(""), a_message(text=""), Similarity.SAME),
        (a_draft(sender=SenderId("noreply")), a_message(sender="+46701740698"), Similarity.SAME),
        (a_draft(), a_message(to="+46701740606"), Similarity.OTHER),
        (a_draft(), a_message(is_reply=True), Similarity.OTHER),
        (a_draft(), a_message(text="Hopp", image_digests=(OTHER_DIGEST,)), Similarity.SIMILAR),
        (a_draft(), a_message(sender="+46701740698"), Similarity.SIMILAR),
        (a_draft(), a_message(text="Hopp"), Similarity.SIMILAR),
        (a_draft(), a_message(text=None), Similarity.SIMILAR),
        (a_draft(), a_message(image_digests=(OTHER_DIGEST,)), Similarity.SIMILAR),
        (a_draft(), a_message(image_digests=(DIGEST, DIGEST)), Similarity.SIMILAR),
        (a_draft(), a_message(image_digests=()), Similarity.SIMILAR),
        (a_draft(), a_message(image_digests=("",)), Similarity.SIMILAR),
        (a_draft(), a_message(text="Hopp", image_digests=("",)), Similarity.SIMILAR),
    ],
)
def test_an_mms_is_the_same_only_if_recipient_sender_text_and_picture_are(
    draft: Draft, message: Message, similarity: Similarity
) -> None:
    assert compare_mms(draft, message) is similarity


def a_doubt(order_id: str) -> Doubt:
    return Doubt(order_id=order_id, draft=a_draft(), since=NOON)


def test_equal_orders_get_equal_messages_one_to_one_oldest_first() -> None:
    history = [a_message("m2", created_at=NOON + timedelta(seconds=1)), a_message("m1")]
    verdicts = judge_mms([a_doubt("O-1"), a_doubt("O-2")], history)
    assert {each: found.message.id for each, found in verdicts.items() if found.message} == {
        "O-1": "m1",
        "O-2": "m2",
    }


@pytest.mark.parametrize(
    ("history", "is_absent"),
    [
        ([], True),
        ([a_message(created_at=NOON - timedelta(minutes=5))], True),
        ([a_message(direction=Direction.INBOUND)], True),
        ([a_message(image_digests=("",))], False),
        ([a_message("m1"), a_message("m2")], False),
    ],
)
def test_an_order_is_absent_only_if_no_message_could_be_it(history: list[Message], is_absent: bool) -> None:
    verdict = judge_mms([a_doubt("O-1")], history)["O-1"]
    assert (verdict.message, verdict.is_absent) == (None, is_absent)
    assert not judge_mms([a_doubt("O-1")], history, has_gaps=True)["O-1"].is_absent
