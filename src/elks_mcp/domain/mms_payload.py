"""The payload of an MMS, and the picture in it."""

from base64 import b64decode
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from elks_mcp.domain.models import Frozen
from elks_mcp.domain.payloads import Payload, read_text
from elks_mcp.domain.signature import sign
from elks_mcp.errors import InvalidInput

NO_REPLY = "noreply"
"""The sender of an MMS in whose place 46elks chooses a number (https://46elks.se/docs/send-mms)."""

LARGEST_MMS = 320_000
"""Bytes of text and pictures in one MMS (https://46elks.com/guides/sending-mms)."""


MOST_PASTED_PICTURE = 8 * 1024
"""Characters of base64 in a data URL that a caller gives: clients cut longer arguments."""


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
