"""The operator's rules.

A caller's arguments can tighten the rules and never loosen them.
"""

from datetime import tzinfo
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, InstanceOf

from elks_mcp.domain.allowed_recipients import AllowedRecipient, list_references, show_allowed_recipients
from elks_mcp.domain.models import Frozen
from elks_mcp.domain.money import Money
from elks_mcp.domain.phone import HOME_REGION, Number, Sender
from elks_mcp.domain.setting_declaration import BudgetSetting, RuleSetting, Setting, Switch, write_value
from elks_mcp.domain.signature import show_signature
from elks_mcp.domain.toolsets import DEFAULT_TOOLSETS, Toolset, write_toolsets


class Confirm(StrEnum):
    """When a person must approve a text before it is sent."""

    AUTO = "auto"
    """If a guard asks for it and the client can ask."""

    ALWAYS = "always"
    """Every text. A text that no person can be asked about waits for approval in a terminal."""

    NEVER = "never"
    """No text."""


class Mode(StrEnum):
    """The destination of texts: none, simulated phones, or real ones."""

    DRY_RUN = "dry run"
    SANDBOX = "sandbox"
    LIVE = "live"


TIMES_A_DAY = 4
"""Texts to one number in 24 hours, as a multiple of those in 10 minutes."""

_MESSAGE_BUDGET = BudgetSetting("ELKS_BUDGET_PER_MESSAGE", "most that one message may cost", kronor=10)
_DAY_BUDGET = BudgetSetting("ELKS_BUDGET_PER_DAY", "most that any 24 hours may cost", kronor=100)


class OperatorRules(Frozen):
    """The settings that are rules, each declared once: `Policy` and `Settings` inherit them.

    The docstring of a field is its text in docs/settings.md. A rule that is only read from text as it stands
    needs no more than its field; `Settings` names the function that reads any other.
    """

    sender: Annotated[
        Sender | None,
        RuleSetting(
            "ELKS_PHONE_NUMBER",
            "sender",
            show=lambda sender: write_value(sender) if sender else "none: each call must name one",
            can_be_file=True,
        ),
    ] = None
    """The sender of texts that name no other: a number of the account (`+46…`), or a name of 3–11 letters and
    digits."""

    dry_run: Annotated[Switch, RuleSetting("DRY_RUN", "dry run", show=lambda on: "on" if on else "off")] = (
        True
    )
    """Send nothing and charge nothing: 46elks only returns the price of each text. In the sandbox the
    default is `false`."""

    simulated: Annotated[Switch, Setting("ELKS_SANDBOX")] = False
    """Run a simulated 46elks inside this server. Texts go to simulated phones, and no account is needed."""

    read_only: Annotated[
        Switch, RuleSetting("ELKS_READ_ONLY", "read-only", show=lambda on: "yes" if on else "no")
    ] = False
    """Send nothing, whatever else is set."""

    confirm: Annotated[
        Confirm, RuleSetting("ELKS_CONFIRM", "a person is asked", show=lambda confirm: _CONFIRM[confirm])
    ] = Confirm.AUTO
    """When a person must approve a text before it is sent. `auto`: if a guard asks for it. If the client
    cannot ask, only what `tainted` finds, a call at night and a large batch wait for a person; other texts
    are sent. `always`: every text. `never`: no text."""

    allowed_countries: Annotated[
        frozenset[str], Field(min_length=1), RuleSetting("ELKS_ALLOWED_COUNTRIES", "countries")
    ] = frozenset({HOME_REGION})
    """The countries that may be texted, as two-letter ISO 3166 codes separated by commas: `SE,NO`. If
    `ELKS_PHONE_NUMBER` is a number of another country, the default is that country."""

    allowed_recipients: Annotated[
        frozenset[AllowedRecipient],
        RuleSetting("ELKS_ALLOWED_RECIPIENTS", "recipients", show=show_allowed_recipients),
    ] = frozenset()
    """The only recipients that may be texted, separated by commas: numbers, and with `ELKS_CONTACTS` also
    names of contacts (in quotation marks if they have a comma), groups (`@jour`), or `contacts` for all.
    Default: any number in an allowed country."""

    allowed_senders: Annotated[
        tuple[Sender, ...],
        RuleSetting(
            "ELKS_ALLOWED_SENDERS",
            "other senders",
            show=lambda senders: f"only {', '.join(map(write_value, senders))}" if senders else _ANY_SENDER,
        ),
    ] = ()
    """The only senders that may be used in addition to `ELKS_PHONE_NUMBER`, separated by commas. Default: any
    sender that does not impersonate a bank, an authority or a brand."""

    max_parts: Annotated[
        int, Field(ge=1, le=255), RuleSetting("ELKS_MAX_PARTS", "most parts of one text")
    ] = 6
    """The most parts that one text may have. 46elks charges for each part."""

    budget_per_message: Annotated[Annotated[int, Field(ge=0)] | None, _MESSAGE_BUDGET] = None
    """The most that one message may cost, in the account's currency: `10` or `2.50`. Default: 10 in SEK, NOK
    and DKK, 1 in any other currency."""

    budget_per_day: Annotated[Annotated[int, Field(ge=0)] | None, _DAY_BUDGET] = None
    """The most that the messages of any 24 hours may cost, in the account's currency. Default: 100 in SEK,
    NOK and DKK, 10 in any other currency."""

    max_per_number: Annotated[
        int,
        Field(ge=1, le=100_000),
        RuleSetting(
            "ELKS_MAX_PER_NUMBER",
            "texts to one number",
            show=lambda most: f"{most} in 10 minutes, {most * TIMES_A_DAY} in 24 hours",
        ),
    ] = 5
    """The most texts to one number in 10 minutes. The limit for 24 hours is four times as high."""

    max_batch: Annotated[
        int,
        Field(ge=1, le=2000),
        RuleSetting("ELKS_MAX_BATCH", "recipients of one batch", show=lambda most: f"{most} at most"),
    ] = 100
    """The most recipients of one batch (up to 2000). For more, 46elks offers JustSend."""

    ask_from: Annotated[
        int,
        Field(ge=0, le=2000),
        RuleSetting("ELKS_ASK_FROM", "a person approves a batch of more than", show=lambda most: f"{most}"),
    ] = 10
    """A batch of more recipients than this needs a person's approval."""

    guards_off: Annotated[
        frozenset[str],
        RuleSetting(
            "ELKS_GUARDS_OFF", "guards switched off", show=lambda names: write_value(names) or "none"
        ),
    ] = frozenset()
    """The guards to switch off, by name, separated by commas: `night,link`."""

    inbound: Annotated[
        Literal["all", "known"],
        RuleSetting("ELKS_INBOUND", "received texts that may be read", show=lambda word: _INBOUND[word]),
    ] = "all"
    """Which received texts an assistant may read. `all`, or `known`: only those from numbers that were texted
    from here. An opt-out counts from any number."""

    signature: Annotated[str, RuleSetting("ELKS_SIGNATURE", "signature", show=show_signature)] = ""
    """A signature of up to 100 characters that ends every text, on a line of its own. It counts in the parts
    and the price of each text, and is not added to a text that ends with it."""

    show_numbers: Annotated[
        Switch, RuleSetting("ELKS_SHOW_NUMBERS", "whole phone numbers", show=lambda on: _SHOWN[on])
    ] = True
    """Show assistants full phone numbers. `false`: a contact's name or a handle (`P-7F3K9QXR`) and at most
    the last two digits. Forms, terminals and the sandbox's page still show people full numbers."""

    toolsets: Annotated[
        frozenset[Toolset],
        RuleSetting("ELKS_TOOLSETS", "toolsets", show=write_toolsets, write=write_toolsets),
    ] = DEFAULT_TOOLSETS
    """The groups of tools that an assistant is offered, separated by commas: `sms`, `batches`, `inbox`,
    `account`, `policy`, `mms`, `calls`, `numbers`, `escalation`, or `all`. Default: the first five. A tool of
    another group is neither listed nor callable. `inbox`, `account`, `policy` and `numbers` never send."""

    latest: Annotated[
        int,
        Field(ge=1, le=24 * 60),
        RuleSetting(
            "ELKS_LATEST",
            "how late a scheduled text may be sent at most",
            show=lambda minutes: f"{minutes} minutes",
        ),
    ] = 60
    """Minutes after its time within which a scheduled text may still be sent. Later, it is not sent, and that
    is reported."""

    time_zone: Annotated[InstanceOf[tzinfo] | None, Setting("ELKS_TIME_ZONE")] = None
    """The time zone of the times in answers, by its IANA name: `Europe/Stockholm`. Default: the zone of the
    machine, which is often UTC in a container."""


_CONFIRM = {
    Confirm.AUTO: "auto: if a guard asks for it and the client can ask",
    Confirm.ALWAYS: "always: before every text, in the client or in a terminal",
    Confirm.NEVER: "never",
}
_ANY_SENDER = "any that does not impersonate a bank, an authority or a brand"
_SHOWN = {True: "shown", False: "hidden: a name, or a handle such as P-7F3K9QXR, stands for a number"}
_INBOUND = {"all": "all", "known": "known: only those from numbers that were texted from here"}


class Policy(OperatorRules):
    """The operator's rules in force, including defaults that depend on other settings."""

    @property
    def senders(self) -> tuple[Sender, ...]:
        """The senders that the operator named, the default one first."""
        return (*((self.sender,) if self.sender else ()), *self.allowed_senders)

    @property
    def own_numbers(self) -> frozenset[str]:
        """The numbers that the operator named as the account's own."""
        return frozenset(each.e164 for each in self.senders if isinstance(each, Number))

    @property
    def live(self) -> bool:
        """Whether texts are sent, to people's phones or to simulated ones."""
        return not (self.dry_run or self.read_only)

    @property
    def mode(self) -> Mode:
        """The destination of texts under these rules."""
        if self.simulated:
            return Mode.SANDBOX
        return Mode.LIVE if self.live else Mode.DRY_RUN

    @property
    def offers_alerts(self) -> bool:
        """Whether alerts can be raised."""
        return Toolset.ESCALATION in self.toolsets

    @property
    def limits_to_contacts(self) -> bool:
        """Whether the contacts decide who may be texted."""
        return bool(list_references(self.allowed_recipients))

    @property
    def home(self) -> str:
        """The ISO 3166 region whose national numbers are understood: the sender's, or Sweden."""
        region = self.sender.region if isinstance(self.sender, Number) else ""
        return region if region.isalpha() else HOME_REGION

    @property
    def hides_unknown(self) -> bool:
        """Whether texts from numbers that were never texted are hidden from assistants."""
        return self.inbound == "known"


def largest_price(policy: Policy, currency: str) -> Money:
    """Return the most that one message may cost, in the account's currency."""
    return _MESSAGE_BUDGET.limit(policy.budget_per_message, currency)


def largest_day(policy: Policy, currency: str) -> Money:
    """Return the most that the messages of any 24 hours may cost, in the account's currency."""
    return _DAY_BUDGET.limit(policy.budget_per_day, currency)
