"""The payload of a call."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from elks_mcp.domain.calls import count_minutes
from elks_mcp.domain.payloads import Payload
from elks_mcp.domain.wording import format_count


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


def require_call(payload: Payload) -> Call:
    """Return a payload that must be a call.

    Raises:
        TypeError: It is of another kind.
    """
    if not isinstance(payload, Call):
        raise TypeError(f"The payload is of the kind {payload.kind}, not a call.")
    return payload
