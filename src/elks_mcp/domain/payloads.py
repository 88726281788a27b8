"""Payloads: the content of an order for its recipient, one class for each kind.

A new kind is a subclass of `Payload` here, an entry in `KINDS` (`domain/kinds.py`), one in `ENDPOINTS`
(`elks/paid_endpoints.py`) and, if it has a `judge`, one in `HISTORIES` (`sending/doubts.py`). It needs no
column in the database.
"""

from base64 import b64decode
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from elks_mcp.domain.calls import count_minutes
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


class Call(Payload):
    """A phone call that plays something, and may ask for digits."""

    NOUN: ClassVar[str] = "call"
    QUESTION: ClassVar[str] = "Call"
    CONTENT: ClassVar[str] = "content"
    IS_SPOKEN: ClassVar[bool] = True

    kind: Literal["call"] = "call"
    text: Annotated[str | None, Field(repr=False)]
    """The words that are spoken; "" if a recording of the operator's is played."""

    prompt: str = ""
    """The name of the operator's recording that is played instead."""

    audio: str = ""
    """The SHA-256 of the audio that is played, in hexadecimal; "" if 46elks speaks the text itself."""

    digits: int = 0
    """How many digits the call asks for; 0 if none."""

    longest: int = 60
    """How many seconds it may last from the pick-up on. The reserved price stands for it."""

    ring: int = 45
    """How many seconds the phone rings at most."""

    per_minute: int = 0
    """The price that is reserved for a started minute, in ten-thousandths of the account's currency."""

    @property
    def parts(self) -> int:
        """How many minutes it is charged as at most."""
        return count_minutes(self.longest)

    @property
    def shown_text(self) -> str:
        """The words, or the recording by its name and the beginning of its digest."""
        return self.text or f"The recording {self.prompt!r} (SHA-256 {self.audio[:16]}…)"

    def describe_size(self, parts: int) -> str:
        """Return how long it lasts at most, and for how many digits it asks."""
        asks = f", waits for {format_count(self.digits, 'digit')}" if self.digits else ""
        return f"at most {format_count(parts, 'minute')}{asks}"

    @property
    def traits(self) -> tuple[str, ...]:
        """The recording, and how many digits it asks for."""
        recording = (f"recording {self.prompt}",) if self.prompt else ()
        return (*recording, *((format_count(self.digits, "digit"),) if self.digits else ()))

    @property
    def identity(self) -> str:
        """The words, or the recording. Two programs may speak the same words differently."""
        return self.text or f"{self.prompt}\n{self.audio}"

    @property
    def options(self) -> dict[str, Any]:
        """Return how many digits it asks for."""
        return {"number of digits": self.digits}


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


NO_REPLY = "noreply"
"""The sender of an MMS in whose place 46elks chooses a number (https://46elks.se/docs/send-mms)."""

LARGEST_MMS = 320_000
"""Bytes of text and pictures in one MMS (https://46elks.com/guides/sending-mms)."""


class PreparedImage(Frozen):
    """The picture of an MMS, exactly as it goes out."""

    name: str
    """The name of the file it was made from, for people."""

    data_url: Annotated[str, Field(repr=False)]
    digest: str
    """The SHA-256 of its bytes in hexadecimal. A person who approves it approves these bytes."""

    width: int
    height: int
    size: int
    """Bytes."""

    is_first_frame: bool = False
    """Whether it is the first frame of an animation."""

    @property
    def content(self) -> bytes:
        """The bytes that the recipient gets."""
        return b64decode(self.data_url.partition(",")[2])

    @property
    def in_words(self) -> str:
        """The name, the dimensions, the size and the first digits of the digest."""
        still = "first frame of an animation, " if self.is_first_frame else ""
        size = f"{self.width} × {self.height} pixels, {max(1, round(self.size / 1000))} kB"
        return f"{self.name} ({still}{size}, SHA-256 {self.digest[:8]}…)"


class Mms(Payload):
    """A picture message. The picture is as private as the text."""

    PRIVATE: ClassVar[frozenset[str]] = frozenset({"text", "image"})
    NOUN: ClassVar[str] = "MMS"
    QUESTION: ClassVar[str] = "Send this MMS to"

    kind: Literal["mms"] = "mms"
    image: PreparedImage | None = None
    """None once it was erased."""

    def describe_size(self, parts: int) -> str:  # noqa: ARG002  (an MMS has one price)
        """Return "", since an MMS has one price whatever its size."""
        return ""

    @property
    def attachment(self) -> str:
        """The picture, in words."""
        return f"the picture {self.image.in_words}" if self.image else ""

    @property
    def traits(self) -> tuple[str, ...]:
        """The word for its content."""
        return ("picture",)

    @property
    def identity(self) -> str:
        """The picture's digest and the text."""
        return f"{self.image.digest if self.image else ''} {self.text or ''}"


def build_mms(image: PreparedImage, message: str, signature: str = "") -> Mms:
    """Return the payload of an MMS with the operator's signature. The text may be empty.

    Raises:
        InvalidInput: the text cannot be sent, or is too long for the picture.
    """
    text = sign(read_text(message), signature) if message.strip() else signature
    if (excess := len(text.encode()) + image.size - LARGEST_MMS) > 0:
        raise InvalidInput(
            f"The text and the picture are {excess:,} bytes larger than an MMS can be.",
            hint="Shorten the text.",
        )
    return Mms(text=text, image=image)


def require_mms(payload: Payload) -> Mms:
    """Return a payload that must be an MMS.

    Raises:
        TypeError: It is of another kind.
    """
    if not isinstance(payload, Mms):
        raise TypeError(f"The payload is of the kind {payload.kind}, not an MMS.")
    return payload


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
