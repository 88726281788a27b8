"""Determine from 46elks' history whether MMS with an unknown outcome were sent.

An MMS is recognized by recipient, sender, text, time and the digest of its picture. Whether 46elks stores a
picture unchanged is not documented, so a picture with another digest may still be ours.
"""

from collections.abc import Iterable
from hashlib import sha1

from elks_mcp.domain.doubts import Doubt, Similarity, Verdict, judge_by
from elks_mcp.domain.mms_payload import NO_REPLY, Mms
from elks_mcp.domain.models import Message
from elks_mcp.domain.orders import Draft
from elks_mcp.domain.phone import written


def judge_mms(
    doubts: Iterable[Doubt], history: Iterable[Message], *, has_gaps: bool = False
) -> dict[str, Verdict]:
    """Return a verdict for each MMS in doubt, by order id. `judge_by` explains the arguments."""
    return judge_by(compare_mms, doubts, history, has_gaps=has_gaps)


def compare_mms(draft: Draft, message: Message) -> Similarity:
    """Return how similar a message is to a draft of an MMS.

    Any other MMS to the same number may be ours: a network may change its text, and 46elks its picture.
    """
    if message.to != draft.to.e164 or message.is_reply:
        return Similarity.OTHER
    sender = written(draft.sender)
    has_text = message.text == draft.text
    has_picture = _compare_pictures(draft.payload, message)
    if has_text and has_picture and sender in {message.sender, NO_REPLY}:
        return Similarity.SAME
    return Similarity.SIMILAR


def _compare_pictures(payload: object, message: Message) -> bool | None:
    """Return whether a message has the picture of an MMS; None if that is not known."""
    if not isinstance(payload, Mms) or payload.image is None or not all(message.image_digests or ("",)):
        return None
    return message.image_digests == (sha1(payload.image.content, usedforsecurity=False).hexdigest(),)
