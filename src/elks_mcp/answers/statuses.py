"""The status of several texts in one answer, in short."""

from typing import Annotated

from pydantic import Field

from elks_mcp.answers.results import StatusAnswer, StatusReport
from elks_mcp.answers.structured import StructuredAnswer
from elks_mcp.answers.text_list import LEFT_OUT, SETTLED, ListStyle
from elks_mcp.answers.untrusted import NAME_AS_SENDER
from elks_mcp.domain.display import visible
from elks_mcp.domain.models import Direction


class AskedStatus(StructuredAnswer):
    """The status of the text with one id, or the reason why there is none."""

    asked: str
    status: Annotated[str, LEFT_OUT] = ""
    meaning: Annotated[str, LEFT_OUT] = ""
    sender: Annotated[str, LEFT_OUT, Field(alias="from")] = ""
    untrusted_from: Annotated[str | None, LEFT_OUT] = None
    to: Annotated[str, LEFT_OUT] = ""
    at: Annotated[str, LEFT_OUT] = ""
    delivered_at: Annotated[str, LEFT_OUT] = ""
    error: Annotated[str, LEFT_OUT] = ""

    @classmethod
    def of(cls, asked: str, found: StatusAnswer, style: ListStyle) -> "AskedStatus":
        """Return the status of a text that was found, without what goes without saying."""
        inbound = found.direction is Direction.INBOUND
        return cls(
            asked=asked,
            status=found.status,
            meaning="" if found.status in SETTLED else found.meaning,
            sender=style.people.label(found.sender) if inbound and found.sender else "",
            untrusted_from=found.untrusted_from,
            to="" if inbound else style.people.label(found.to),
            at=style.write(found.created_at) if found.created_at else "",
            delivered_at=style.write(found.delivered_at) if found.delivered_at else "",
        )

    def in_words(self) -> str:
        """Return the status as one line."""
        if self.error:
            return f"- {visible(self.asked)}: {self.error}"
        sender = self.sender or (self.untrusted_from and NAME_AS_SENDER)
        party = f"from {sender}" if sender else f"to {self.to}" if self.to else ""
        facts = [self.status, self.delivered_at or (self.at and f"created {self.at}"), party]
        meaning = f": {self.meaning}" if self.meaning else "."
        return f"- {self.asked}: {', '.join(filter(None, facts))}{meaning}"


class StatusesAnswer(StatusReport):
    """The status of several texts, in the order in which they were asked for."""

    now: str
    zone: str
    texts: tuple[AskedStatus, ...]

    def in_words(self) -> str:
        """Return a line for each id."""
        head = f"{len(self.texts)} texts. Now {self.now} ({self.zone})."
        return "\n".join([head, *(each.in_words() for each in self.texts)])
