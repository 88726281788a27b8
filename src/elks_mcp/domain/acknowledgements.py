"""Acknowledging an alert: the sentence that asks for it, and the code in an answer.

People answer at night and with one hand: `OK 4711`, `ok4711`, `Ok. 4711!` and `4711` alone all count.
"""

import re

from elks_mcp.domain.cleaning import cleaned
from elks_mcp.domain.escalation import AckLanguage
from elks_mcp.domain.normalization import normalize

CODE_DIGITS = 4
MOST_WRONG_CODES = 5
"""After this many wrong codes from a number, no text from it acknowledges that alert any more."""

_LONGEST_READ = 2000
"""Characters of a text in which a code is looked for."""

_CODE = re.compile(
    r"(?<!reply )(?<!svara )\b(?:ok|okej|okay|oki)[^a-z0-9]{0,10}([0-9]{4})(?![0-9])"
    r"(?!\s*(?:to acknowledge|för att bekräfta))"
)
"""A code after an OK that is not our own sentence.

A phone that reacts to a text quotes it, and so do automatic answers: `Liked "… Reply OK 4711 to …"`.
"""

_CODE_ALONE = re.compile(r"[^a-z0-9]*([0-9]{4})[^a-z0-9]*")

_REQUESTS = {
    AckLanguage.ENGLISH: "Reply OK {} to acknowledge.",
    AckLanguage.SWEDISH: "Svara OK {} för att bekräfta.",
}
_SPOKEN_REQUESTS = {
    AckLanguage.ENGLISH: "Press 1 to acknowledge.",
    AckLanguage.SWEDISH: "Tryck 1 för att bekräfta.",
}


def request_acknowledgement(message: str, code: str, language: AckLanguage) -> str:
    """Return the text of an alert: the message, and on a line of its own how to acknowledge it."""
    return f"{message.rstrip()}\n{_REQUESTS[language].format(code)}"


def request_digit(message: str, language: AckLanguage) -> str:
    """Return what is said in a call about an alert."""
    said = message.rstrip()
    end = "" if said.endswith((".", "!", "?")) else "."
    return f"{said}{end} {_SPOKEN_REQUESTS[language]}"


def find_code(text: str) -> str | None:
    """Return the code in an answer to an alert; None if the text is something else.

    Only the first code counts, so one text is one try. A text that only quotes the alert is none.
    """
    folded = normalize("NFKC", cleaned(text[:_LONGEST_READ])).casefold()
    found = _CODE_ALONE.fullmatch(folded) or _CODE.search(folded)
    return found.group(1) if found else None
