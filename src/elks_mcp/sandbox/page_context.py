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
    """

    code: str
    to: str
    sender: str
    message: str
    reasons: Sequence[str] = ()
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Approvals:
    """The two functions through which the page shows and decides what waits for a person.

    Attributes:
        list_waiting: returns the texts that wait now.
        decide: approves (True) or declines (False) the text with a code, and returns a sentence with the
            outcome. Raises `LookupError` with a sentence if that text no longer waits.
    """

    list_waiting: Callable[[], Awaitable[Sequence[WaitingText]]]
    decide: Callable[[str, bool], Awaitable[str]]


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
