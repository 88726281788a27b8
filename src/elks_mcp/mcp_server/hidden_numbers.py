"""Hide phone numbers from the model in every answer, for `ELKS_SHOW_NUMBERS=false`.

A contact's name or a handle replaces each number, and tools accept both. A form, which a person reads, keeps
whole numbers.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel

from elks_mcp.app import App
from elks_mcp.domain.contact_search import list_candidates, list_labels
from elks_mcp.domain.contacts import GROUP_MARK, Contacts, fold_name, shorten
from elks_mcp.domain.number_search import FoundNumber, find_numbers
from elks_mcp.domain.phone import Number
from elks_mcp.errors import ElksError, InvalidInput
from elks_mcp.sending.batch_sources import split_recipients

_SHOWN_LAST = 2
PEOPLE = frozenset({"to", "from", "with"})
"""Arguments that are a person or a sender: a number, or a name."""

_WITH_HANDLES = PEOPLE | {"query"}
"""Arguments that take a handle; `query` can be that as well as part of a name, or a group."""

_LIST_OF_PEOPLE = "recipients"

_YOURS = re.compile(r"you \((?:…|\.\.\.)([0-9]{2})\)")
"""A number of the account, as answers write it."""

_MASKED = re.compile(r"(?:\+\d{1,4}|\d{3})\*{2,}\d{2}(?!\d)")
"""A number with its middle hidden, which shows more digits than a model may see: `+4670*****05`."""

_STATIC = frozenset(
    {
        "initialize",
        "server/discover",
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
    }
)
"""Requests whose answers hold no data, only the example numbers of descriptions, which reach no phone."""


async def read_handles(app: App, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call, with numbers in place of handles.

    Raises:
        InvalidInput: no known number has such a handle, or several have it.
        ElksError: it cannot be found out.
    """
    read = dict(arguments)
    for name, value in arguments.items():
        if name in _WITH_HANDLES and isinstance(value, str):
            read[name] = await _read_handle(app, value)
        elif name == _LIST_OF_PEOPLE:
            with suppress(ValueError):  # the tool says what is wrong with it
                read[name] = [await _read_handle(app, each) for each in split_recipients(value)]
    return read


async def _read_handle(app: App, text: str) -> str:
    if yours := _YOURS.fullmatch(text.strip()):
        numbers = [each for each in _list_own(app) if each.endswith(yours[1])]
        if len(numbers) != 1:
            raise InvalidInput(
                f"The account has {len(numbers)} numbers that end in {yours[1]}.",
                hint="Leave the sender out.",
            )
        return numbers[0]
    number = await app.handles.find(text)
    if number:
        return number.e164
    return await _read_hidden_name(app, text) if "P-" in text.upper() or "…" in text else text


async def _read_hidden_name(app: App, text: str) -> str:
    """Return a text in which a number in the name of a contact or a group is whole again.

    With `ELKS_SHOW_NUMBERS=false` answers show `Bo 0701740605` as `Bo P-7F3K9QXR`.
    """
    contacts, hider = await app.contacts.read_leniently(), _Hider(app, app.policy.home)
    if list_candidates(contacts, text):
        return text
    for name in _list_names(contacts):
        if sum(map(str.isdigit, name)) > _FEWEST_DIGITS and any(find_numbers(name, app.policy.home)):
            shown = await hider.hide(shorten(name))
            if fold_name(text[: len(shown)]) == fold_name(shown):
                return name + text[len(shown) :]
    return text


def _list_names(contacts: Contacts) -> Iterator[str]:
    """List everything that a caller can write for a contact or a group."""
    for person in contacts.people:
        yield from person.names
    for group in contacts.list_groups():
        yield from (group, f"{GROUP_MARK}{group}")


_FEWEST_DIGITS = 6
"""A number has more digits."""


def _list_own(app: App) -> frozenset[str]:
    """Return the account's own numbers, as far as they are known."""
    known = app.orders.checks.own_numbers.known
    return known.configured | (known.listed or frozenset())


class NumberHidingMiddleware:
    """Replaces every phone number in answers and errors. `home`: the region of national numbers."""

    def __init__(self, home: str) -> None:
        self._home = home

    async def __call__(
        self, ctx: ServerRequestContext[App | None, Any], call_next: CallNext
    ) -> HandlerResult:
        """Answer a request without whole numbers."""
        if ctx.request_id is None or ctx.method in _STATIC:
            return await call_next(ctx)
        hider = _Hider(ctx.lifespan_context, self._home)
        try:
            result = await call_next(ctx)
        except MCPError as error:
            shown, data = await hider.hide(error.error.message), await hider.hide(error.error.data)
            raise MCPError(error.error.code, shown, data) from None
        answer = (
            result.model_dump(by_alias=True, mode="json", exclude_none=True)
            if isinstance(result, BaseModel)
            else result
        )
        if answer is None or "inputRequests" in answer:  # a form for a person
            return result
        return {name: await hider.hide(value) for name, value in answer.items()}


class _Hider:
    """Replaces numbers in one answer. `app`: None if the configuration cannot be read."""

    def __init__(self, app: App | None, home: str) -> None:
        self._app = app
        self._home = home

    async def hide(self, value: Any) -> Any:
        """Return a part of an answer without whole numbers, the keys included."""
        if isinstance(value, str):
            return await self._hide_in_text(value)
        if isinstance(value, list | tuple):
            return [await self.hide(each) for each in value]
        if not isinstance(value, dict) or value.get("type") in {"audio", "image"}:  # no digits to hide
            return value
        if value.get("mimeType") == "application/json" and isinstance(value.get("text"), str):
            content = await self.hide(json.loads(value["text"]))
            written = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
            return {**{name: await self.hide(each) for name, each in value.items()}, "text": written}
        return {await self.hide(name): await self.hide(each) for name, each in value.items()}

    async def _hide_in_text(self, text: str) -> str:
        shown, end = "", 0
        text = _MASKED.sub(self._name_masked, text)
        for found in find_numbers(text, self._home):
            shown += text[end : found.start]
            label = await self._name(found)
            name = label.partition("(…")[0]
            is_named = label != name and shown.endswith(f"{name}(")  # not "Åsa (Åsa (…05))"
            shown += f"…{found.digits[-_SHOWN_LAST:]}" if is_named else label
            end = found.end
        return shown + text[end:]

    def _name_masked(self, found: re.Match[str]) -> str:
        """Return what stands for a masked number.

        `you (…05)` if only one number of the account has this mask.
        """
        own = [each for each in _list_own(self._app) if Number(each).masked == found[0]] if self._app else []
        digits = f"…{found[0][-_SHOWN_LAST:]}"
        return f"you ({digits})" if len(own) == 1 else digits

    async def _name(self, found: FoundNumber) -> str:
        """Return what stands for a number."""
        label = await self._label(self._app, found.number) if self._app and found.number else ""
        return label or f"…{found.digits[-_SHOWN_LAST:]}"

    async def _label(self, app: App, number: Number) -> str:
        """Return what a caller can write for a number; "" if that cannot be found out."""
        digits = number.e164[-_SHOWN_LAST:]
        if number.e164 in (own := _list_own(app)) and sum(each.endswith(digits) for each in own) == 1:
            return f"you (…{digits})"
        for label in list_labels(app.contacts.known, number, with_digits=True):
            if not any(find_numbers(label, self._home)):
                return label
        try:
            return await app.handles.make(number)
        except ElksError:
            return ""
