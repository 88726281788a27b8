"""Answers that are not a success, and the error that each of them means."""

import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime

from elks_mcp.domain.cleaning import cleaned
from elks_mcp.elks.wire.field_types import LONGEST_LINE
from elks_mcp.errors import CapReached, NoAnswer, OutOfFunds, ProviderError, Rejected, Throttled, Unauthorized

LONGEST_REFUSAL = 4096
"""In bytes. 46elks refuses with one line; a longer body, such as a proxy's page, is not quoted."""

_LONGEST_WAIT = timedelta(minutes=5)

_MAY_HAVE_ACTED = frozenset({303, 408})
"""303 See Other follows a completed action, and a request that timed out (408) may have been carried out."""

_TAG = re.compile(r"<\s*[!/?a-z]", re.IGNORECASE)
_OUT_OF_FUNDS = re.compile(r"\b(credits?|balance|funds|usage ?limit)\b", re.IGNORECASE)
"""A guess, as are the statuses 402 and 403: no refusal for lack of money has been captured yet."""

_HINTS = {
    "disallowed by default": "The country is blocked on the account; ask 46elks' support to open it.",
    "missing key": "46elks requires a value for it.",
    "alphanumeric": "A text sender is 3–11 letters A–Z, digits or spaces, the first a letter.",
    "invalid to": "Check the recipient's number.",
    "from": "Check the sender: a number of the account, or 3–11 letters, digits or spaces.",
}


def parse_refusal(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    secrets: Collection[str] = (),
    *,
    of_subaccount: bool = False,
) -> ProviderError:
    """Return the error that an answer without success means.

    46elks uses 401 for credentials and 403 for everything else that it refuses; its one line of text is the
    only further detail. `secrets` are removed from that line. `of_subaccount`: its limit may be the reason.
    """
    said = _quote(headers.get("content-type", ""), body, secrets)
    quoted = f': "{said}".' if said else "."
    if status == 401:  # noqa: PLR2004
        return Unauthorized(f"46elks does not accept the API credentials{quoted}", status=status, said=said)
    if status == 429:  # noqa: PLR2004
        wait = parse_retry_after(headers)
        return Throttled(
            f"46elks accepts no more requests for now (429){quoted}", retry_after=wait, said=said
        )
    if status >= 500 or status < 300 or status in _MAY_HAVE_ACTED:  # noqa: PLR2004
        return NoAnswer(f"46elks failed with status {status}{quoted}", status=status, said=said)
    if status < 400:  # noqa: PLR2004
        return Rejected(
            f"46elks answered with a redirect ({status}), which is never followed.",
            hint="Check ELKS_API_BASE_URL; it should be https://api.46elks.com/a1.",
            status=status,
        )
    if status == 402 or _OUT_OF_FUNDS.search(said) or (of_subaccount and _LIMIT.search(said)):  # noqa: PLR2004
        kind, what = _FUNDS[of_subaccount]
        return kind(f"46elks says that {what}{quoted}", status=status, said=said)
    perhaps = _PERHAPS_CAPPED if of_subaccount and status == 403 else ""  # noqa: PLR2004
    return Rejected(
        f"46elks refused the request ({status}){quoted}",
        hint=f"{_find_hint(status, said)}{perhaps}",
        status=status,
        said=said,
    )


_LIMIT = re.compile(r"\blimit", re.IGNORECASE)
_FUNDS: dict[bool, tuple[type[OutOfFunds], str]] = {
    False: (OutOfFunds, "the account does not have enough money for this"),
    True: (CapReached, "the limit of this server's subaccount is used up, or the account has no money"),
}
_PERHAPS_CAPPED = (
    " If that does not explain it, the limit of this server's subaccount may be used up. 46elks does not "
    "document how it refuses then. To see the limit: `elks-mcp cap show`."
)


def parse_retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Read Retry-After: seconds, or a date compared with the answer's Date; None without it.

    A longer wait than five minutes is cut to five minutes.
    """
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{10,}", value):
        return _LONGEST_WAIT
    if re.fullmatch(r"[0-9]+", value):
        return min(timedelta(seconds=int(value)), _LONGEST_WAIT)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait, timedelta()), _LONGEST_WAIT)


def _quote(content_type: str, body: bytes, secrets: Collection[str]) -> str:
    """Return the first line of a refusal, cleaned and cut; "" for HTML or a long body.

    Secrets are removed after cleaning, which could join the pieces of one, and before cutting.
    """
    text = cleaned(body[: LONGEST_REFUSAL + 1].decode("utf-8", "replace")).strip()
    if not text or len(body) > LONGEST_REFUSAL or "html" in content_type.lower() or _TAG.search(text):
        return ""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text.splitlines()[0][:LONGEST_LINE]


def _find_hint(status: int, said: str) -> str:
    if status == 404:  # noqa: PLR2004
        return "46elks has nothing at that address; check ELKS_API_BASE_URL, if it is set."
    line = said.lower()
    return next((hint for phrase, hint in _HINTS.items() if phrase in line), Rejected.default_hint)
