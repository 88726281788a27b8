"""Facts about the program that runs the sandbox, for the phone page."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class WaitingText:
    """A text that waits for a person.

    Attributes:
        code: what names it, such as `A-7F3K`.
        to: the recipient, E.164.
        sender: a number or a text.
        message: the text.
        reasons: sentences that say why it waits.
        details: more for people, such as cost and parts, by title.
        picture: the picture of an MMS as a data URL; "" for a text.
    """

    code: str
    to: str
    sender: str
    message: str
    reasons: Sequence[str] = ()
    details: Mapping[str, str] = field(default_factory=dict)
    picture: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ShownBatch:
    """A batch of texts that waits for a person, is planned or under way, or has just ended.

    Attributes:
        id: what names it, such as `B-7F3K9QXR`.
        code: what a person decides it by, such as `A-7F3K`; "" if it does not wait for a person.
        title: how many texts it is.
        state: one word, such as `running`.
        status: how far it is, in words.
        ended: how many of its texts have ended, sent or not.
        total: how many texts it has; 0 before its start.
        reasons: sentences that say why it waits, or why texts were not sent.
        details: more for people, such as sender, cost and time, by title.
        left_out: why rows of the list get no text, a line for each reason.
        samples: some of its texts, each with a line about its recipient before it.
    """

    id: str
    code: str
    title: str
    state: str
    status: str = ""
    ended: int = 0
    total: int = 0
    reasons: Sequence[str] = ()
    details: Mapping[str, str] = field(default_factory=dict)
    left_out: Sequence[str] = ()
    samples: Sequence[tuple[str, str]] = ()


async def _list_no_batches() -> Sequence[ShownBatch]:
    return ()


@dataclass(frozen=True, slots=True)
class Approvals:
    """The functions through which the page shows and decides what waits for a person.

    Attributes:
        list_waiting: returns the texts that wait now.
        decide: approves (True) or declines (False) the text or batch with a code, and returns a sentence with
            the outcome. Raises `LookupError` with a sentence if it no longer waits.
        list_batches: returns the batches that the page shows now.
    """

    list_waiting: Callable[[], Awaitable[Sequence[WaitingText]]]
    decide: Callable[[str, bool], Awaitable[str]]
    list_batches: Callable[[], Awaitable[Sequence[ShownBatch]]] = _list_no_batches


@dataclass(slots=True)
class PageContext:
    """The program around the sandbox, as the page shows it; it may change at any time.

    Attributes:
        title: names client and folder, such as `Claude Code · my-shop`.
        snippets: texts that connect an assistant, each with a sentence about where it belongs, by the
            client's name. Commands in the sentence are in backticks.
        approvals: None if nothing can wait for a person here.
    """

    title: str = ""
    snippets: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    approvals: Approvals | None = None
