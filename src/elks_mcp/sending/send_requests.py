"""Requests to send something, as a caller gives them: one class for each kind of order."""

from dataclasses import dataclass, field

from elks_mcp.domain.call_payload import Call
from elks_mcp.domain.mms_payload import PreparedImage, build_mms
from elks_mcp.domain.payloads import Payload, build_sms


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest:
    """The part that all requests to send have in common. A subclass adds the content."""

    to: str
    """A number, or the name of a contact."""

    sender: str = ""
    """Empty: the operator's default."""

    dry_run: bool | None = None
    """True: price only. False: really send, even if the server is in dry run. None: the operator's choice."""

    idempotency_key: str = ""
    awaits_reply: bool = False
    """Whether the caller waits for the recipient's answer."""

    send_at: str = ""
    """When to send it, as `parse_send_time` reads it; "" for now."""

    time_zone: str = ""
    """The IANA time zone of `send_at`; "" for the recipient's, or else the operator's."""

    def build_payload(self, signature: str) -> Payload:
        """Return the content, checked, with the operator's signature if it holds a text.

        Raises:
            InvalidInput: the content cannot be sent.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsRequest(SendRequest):
    """A request to send a text."""

    message: str = field(repr=False)
    flash: bool = False

    def build_payload(self, signature: str) -> Payload:
        """Return the text with the operator's signature.

        Raises:
            InvalidInput: the text is blank, too long, or holds a character that cannot be sent.
        """
        return build_sms(self.message, signature, flash=self.flash)


@dataclass(frozen=True, slots=True, kw_only=True)
class MmsRequest(SendRequest):
    """A request to send a picture."""

    image: PreparedImage = field(repr=False)
    message: str = field(default="", repr=False)

    def build_payload(self, signature: str) -> Payload:
        """Return the picture, and the text with the operator's signature.

        Raises:
            InvalidInput: the text cannot be sent.
        """
        return build_mms(self.image, self.message, signature)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest(SendRequest):
    """A request to call somebody."""

    call: Call
    """The payload that `CallPreparer` prepared."""

    def build_payload(self, signature: str) -> Payload:  # noqa: ARG002  (a signature is not spoken)
        """Return what was prepared."""
        return self.call
