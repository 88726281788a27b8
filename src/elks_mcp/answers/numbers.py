"""The answer about the account's numbers: how what each receives reaches this server."""

from typing import Annotated, Literal

from pydantic import Field

from elks_mcp.answers.structured import Answer, StructuredAnswer
from elks_mcp.app import App
from elks_mcp.domain.cleaning import cleaned
from elks_mcp.domain.numbers import Capability, OwnNumber, mask_address
from elks_mcp.domain.phone import Number, is_e164
from elks_mcp.domain.wording import format_count
from elks_mcp.inbound.webhook_addresses import webhook_address

Way = Literal["webhook", "polling", "not read", "cannot"]
_WAYS: dict[Way, str] = {
    "webhook": "come to this server immediately",
    "polling": "are read from 46elks' history",
    "not read": "do not come to this server",
    "cannot": "cannot be received",
}
_NOUNS = {Capability.SMS: "texts", Capability.VOICE: "calls", Capability.MMS: "pictures"}
_HOOKS = {Capability.SMS: "sms", Capability.VOICE: "call", Capability.MMS: "mms"}
"""The last part of this server's webhook for each."""

_TOOLSETS = {Capability.VOICE: "calls", Capability.MMS: "mms"}
"""The toolset that reads history for each; texts are always read."""


class Route(StructuredAnswer):
    """The way of what a number receives, and where 46elks posts it."""

    way: Annotated[Way, Field(description="How it reaches this server; `cannot`: the number lacks that.")]
    posted_to: Annotated[
        str, Field(description="The host, or the action, that 46elks uses. The rest may be secret.")
    ] = ""

    def in_words(self, noun: str) -> str:
        """Return the way as a sentence. `noun`: what is received."""
        elsewhere = f" (46elks posts them to {self.posted_to})" if self.posted_to else ""
        return f"{noun} {_WAYS[self.way]}{elsewhere}"


class NumberEntry(StructuredAnswer):
    """One number of the account."""

    id: Annotated[str, Field(exclude_if=lambda value: not value)] = ""
    number: str
    name: str
    capabilities: tuple[str, ...]
    active: bool
    texts: Route
    calls: Route
    pictures: Route

    def in_words(self) -> str:
        """Return the number, and the way of each thing that it receives, in one line."""
        named = f" ({self.name})" if self.name else ""
        if not self.active:
            return f"- {self.number}{named}: not rented any more."
        ways = zip(_NOUNS.values(), (self.texts, self.calls, self.pictures), strict=True)
        can = ", ".join(self.capabilities) or "capabilities not listed"
        return f"- {self.number}{named}, {can}: {'; '.join(route.in_words(noun) for noun, route in ways)}."


class NumbersAnswer(Answer):
    """The account's numbers, with nothing secret."""

    numbers: tuple[NumberEntry, ...]

    def in_words(self) -> str:
        """Return one line for each number."""
        if not self.numbers:
            return "46elks lists no number of this account."
        lines = [each.in_words() for each in self.numbers]
        return "\n".join([f"{format_count(len(lines), 'number')}.", *lines])


async def read_numbers(app: App, *, for_person: bool = False) -> NumbersAnswer:
    """Return the account's numbers.

    `for_person`: also ended ones, with their ids and all digits.
    """
    app.require_account()
    listed = await app.client.list_numbers(ended=for_person)
    ours = await list_own_addresses(app)
    return NumbersAnswer(numbers=tuple(_describe(app, each, ours, for_person=for_person) for each in listed))


async def list_own_addresses(app: App) -> dict[Capability, str]:
    """Return this server's webhook addresses, which hold secrets; none without a public URL."""
    url = app.configuration.settings.public_url
    if url is None:
        return {}
    return {each: await webhook_address(url, app.storage, hook) for each, hook in _HOOKS.items()}


def _describe(app: App, number: OwnNumber, ours: dict[Capability, str], *, for_person: bool) -> NumberEntry:
    digits = number.number
    if not (for_person or app.policy.show_numbers) and is_e164(digits):
        digits = Number(digits).masked
    return NumberEntry(
        id=number.id if for_person else "",
        number=digits,
        name=cleaned(number.name),
        capabilities=number.capabilities,
        active=number.is_active,
        texts=_find_route(app, number, Capability.SMS, number.sms_url, ours),
        calls=_find_route(app, number, Capability.VOICE, number.voice_start, ours),
        pictures=_find_route(app, number, Capability.MMS, number.mms_url, ours),
    )


def _find_route(
    app: App, number: OwnNumber, what: Capability, address: str, ours: dict[Capability, str]
) -> Route:
    if not number.can(what):
        return Route(way="cannot")
    if address and address == ours.get(what):
        return Route(way="webhook")
    is_read = what is Capability.SMS or _TOOLSETS[what] in app.policy.toolsets
    return Route(way="polling" if is_read else "not read", posted_to=mask_address(address) if address else "")
