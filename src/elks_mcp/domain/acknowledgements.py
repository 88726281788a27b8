"""Acknowledging an alert: the sentence that asks for it, and the code in an answer.

People answer at night and with one hand: `OK 4711`, `ok4711`, `Ok. 4711!` and `4711` alone all count. A phone
that reacts to a text quotes it, and so do automatic answers, so a code inside other words does not count.
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

_OK = r"(?:ok|okej|okay|oki)"
_CODE = re.compile(
    rf"[^\w>]*(?:(?:ja|yes|ok)\W+)?{_OK}\W{{0,10}}([0-9]{{4}})(?![0-9])"
    r"(?! ?\?)(?!\W*(?:to\W+acknowledge|f.r\W+att\W+bekr.fta))"
)
"""An OK and a code, with which a text begins, and neither a question mark nor our own sentence after it."""

_CODE_ALONE = re.compile(rf"[^\w>]*([0-9]{{4}})(?:[^\w?]*{_OK})?[^\w?]*")

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

    An answer begins with OK and the code, and anything may follow but a question mark or the rest of our own
    sentence. "Yes" may come first, and the code alone suffices. Line breaks are spaces. A text that begins in
    another way, such as one that quotes the alert, is none. Only the first code counts, so one text is one
    try.
    """
    folded = normalize("NFKC", cleaned(text[:_LONGEST_READ])).casefold()
    words = " ".join(folded.split())
    found = _CODE_ALONE.fullmatch(words) or _CODE.match(words)
    return found.group(1) if found else None
