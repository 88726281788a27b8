"""Payloads: the content of an order for its recipient, one class for each kind.

A new kind is a subclass of `Payload` here, an entry in `KINDS` (`domain/kinds.py`), one in `ENDPOINTS`
(`elks/paid_endpoints.py`) and, if it has a `judge`, one in `HISTORIES` (`sending/doubts.py`). It needs no
column in the database.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from elks_mcp.domain.cleaning import is_blank
from elks_mcp.domain.models import Frozen
from elks_mcp.domain.signature import sign
from elks_mcp.domain.text import Encoding, Size, find_unsendable, measure
from elks_mcp.domain.wording import format_count
from elks_mcp.errors import InvalidInput, StateUnavailable

LONGEST_TEXT = 5000
"""Characters: 33 parts, more than the guard `too_many_parts` allows by default."""


class Payload(Frozen):
    """The content of an order for its recipient. `kind` says which subclass it is.

    An instance of this class itself stands for an order of a kind that this version does not know: a newer
    version that shares the database placed it.
    """

    PRIVATE: ClassVar[frozenset[str]] = frozenset({"text"})
    """The fields that are erased once the order is settled. Each of them can be None."""

    NOUN: ClassVar[str] = "text"
    """The word for such an order, within a sentence."""

    QUESTION: ClassVar[str] = "Send this text to"
    """The question whether to send it, up to the recipient."""

    CONTENT: ClassVar[str] = "text"
    """The word for what it says, within a sentence."""

    IS_SPOKEN: ClassVar[bool] = False
    """Whether the phone rings, and plays the content, instead of showing it."""

    kind: str
    text: Annotated[str | None, Field(repr=False)] = None
    """The text that the recipient gets. None if it was erased, or if there is none."""

    @property
    def is_known(self) -> bool:
        """Whether this version knows the kind."""
        return type(self) is not Payload

    @property
    def size(self) -> Size | None:
        """The size of the text as 46elks counts it. None if the kind is not billed by the part."""
        return None

    @property
    def parts(self) -> int:
        """How many units the order is billed as, by our own count."""
        return self.size.parts if self.size else 1

    @property
    def shown_as(self) -> str:
        """How the phone shows it, in words, if not as its kind usually is: `a flash message`."""
        return ""

    @property
    def attachment(self) -> str:
        """The content that is not text, in words: `the picture cat.jpg`; "" if there is none."""
        return ""

    @property
    def shown_text(self) -> str:
        """The content as a person reads it to approve it."""
        return self.text or ""

    def describe_size(self, parts: int) -> str:
        """Return in words what is charged. `parts`: the number of units."""
        return format_count(parts, "part")

    @property
    def traits(self) -> tuple[str, ...]:
        """Further facts for an operator, in a word each. They stay known after the text was erased."""
        return ()

    @property
    def identity(self) -> str:
        """The part that is equal in two orders of this kind that repeat each other."""
        return self.model_dump_json(exclude={"kind"})

    @property
    def options(self) -> dict[str, Any]:
        """Return what the caller chose apart from `identity`, each by its name in errors."""
        return {}


class Sms(Payload):
    """A text message."""

    kind: Literal["sms"] = "sms"
    text: Annotated[str | None, Field(repr=False)]
    flash: bool = False
    """Whether the phone shows the text immediately and does not store it."""

    encoding: Encoding = Field(default_factory=lambda known: measure(known.get("text") or "").encoding)
    """How the text is encoded. It is known after the text was erased, too."""

    @property
    def size(self) -> Size:
        """The encoding, length and parts of the text, as 46elks counts them."""
        return measure(self.text or "")

    @property
    def shown_as(self) -> str:
        """How the phone shows a flash message."""
        return "a flash message" if self.flash else ""

    @property
    def traits(self) -> tuple[str, ...]:
        """The encoding, and whether it is a flash message."""
        return (self.encoding, *(("flash",) if self.flash else ()))

    @property
    def identity(self) -> str:
        """The text: the same text, once as a flash message and once not, is a repeat."""
        return self.text or ""

    @property
    def options(self) -> dict[str, Any]:
        """Return whether it is a flash message."""
        return {"flash setting": self.flash}


def build_sms(message: str, signature: str = "", *, flash: bool = False) -> Sms:
    """Return the payload of a text with the operator's signature.

    Raises:
        InvalidInput: the text is blank, too long, or holds a character that cannot be sent.
    """
    return Sms(text=sign(read_text(message), signature), flash=flash)


def read_text(message: str) -> str:
    """Return a text unchanged, after checking that it can be sent.

    Raises:
        InvalidInput: the text is blank, too long, or holds a character that cannot be sent.
    """
    if len(message) > LONGEST_TEXT:
        raise InvalidInput(
            f"The message has {len(message):,} characters; {LONGEST_TEXT:,} is the most.",
            hint="Shorten it, or send it as several texts.",
        )
    if not message.strip():
        raise InvalidInput("The message is empty.", hint="Give the text to send.")
    if odd := find_unsendable(message):
        raise InvalidInput(
            f"The message contains a character that cannot be sent: U+{ord(odd):04X}.", hint="Leave it out."
        )
    if is_blank(message):
        raise InvalidInput(
            "The message contains only invisible characters, and each part would be charged.",
            hint="Give the text to send.",
        )
    return message


def unknown_kind(order_id: str, kind: str) -> StateUnavailable:
    """Return the error for an order of a kind that this version does not know."""
    return StateUnavailable(
        f"The order {order_id} is of the kind {kind!r}, which this version does not know.",
        hint="Update elks-mcp.",
    )


def require_sms(payload: Payload) -> Sms:
    """Return a payload that must be an SMS.

    Raises:
        TypeError: It is of another kind.
    """
    if not isinstance(payload, Sms):
        raise TypeError(f"The payload is of the kind {payload.kind}, not an SMS.")
    return payload
