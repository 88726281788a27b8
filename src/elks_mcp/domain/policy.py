"""What the operator allows. Nothing a model says can loosen it; arguments only tighten it."""

from datetime import tzinfo
from enum import StrEnum
from typing import Annotated

from pydantic import Field, InstanceOf

from elks_mcp.domain.models import Frozen
from elks_mcp.domain.money import UNITS, Money
from elks_mcp.domain.orders import Approver, Effect, Finding, of_effect
from elks_mcp.domain.phone import HOME_REGION, Number, Sender
from elks_mcp.errors import NotApproved


class Confirm(StrEnum):
    """When a person is asked before a text goes out."""

    AUTO = "auto"
    """Where a guard wants it, and the client can ask."""

    ALWAYS = "always"
    """Before every one; where nobody can be asked nothing is sent."""

    NEVER = "never"
    """Nobody is asked."""


class Mode(StrEnum):
    """Where texts end up: nowhere, on simulated handsets, or on people's phones."""

    DRY_RUN = "dry run"
    SANDBOX = "sandbox"
    LIVE = "live"


class Policy(Frozen):
    """The operator's rules."""

    dry_run: bool = True
    read_only: bool = False
    simulated: bool = False
    """The 46elks at the other end is the sandbox, dry run or not."""

    confirm: Confirm = Confirm.AUTO
    sender: Sender | None = None
    """Who texts come from where the caller names nobody."""

    allowed_senders: tuple[Sender, ...] = ()
    allowed_countries: Annotated[frozenset[str], Field(min_length=1)] = frozenset({HOME_REGION})
    """ISO 3166 regions."""

    allowed_recipients: frozenset[Number] = frozenset()
    """Empty: anybody in an allowed country."""

    max_parts: Annotated[int, Field(ge=1)] = 6
    budget_per_message: Annotated[int, Field(ge=0)] | None = None
    """In ten-thousandths of the account's currency. None: 10 of a Nordic one, 1 of any other."""

    budget_per_day: Annotated[int, Field(ge=0)] | None = None
    """In ten-thousandths of the account's currency. None: 100 of a Nordic one, 10 of any other."""

    max_per_number: Annotated[int, Field(ge=1)] = 5
    """Texts to one number in 10 minutes; four times that in a day."""

    guards_off: frozenset[str] = frozenset()
    time_zone: InstanceOf[tzinfo] | None = None
    """The zone in which people and models are told times; None is the machine's."""

    hides_unknown: bool = False
    """Whether texts from numbers that nothing was ever sent to stay hidden."""

    @property
    def senders(self) -> tuple[Sender, ...]:
        """The senders that the operator named, the default one first."""
        return (*((self.sender,) if self.sender else ()), *self.allowed_senders)

    @property
    def live(self) -> bool:
        """Whether a text goes out unless somebody says otherwise; to handsets in the sandbox."""
        return not (self.dry_run or self.read_only)

    @property
    def mode(self) -> Mode:
        """The word for where texts end up."""
        if self.simulated:
            return Mode.SANDBOX
        return Mode.LIVE if self.live else Mode.DRY_RUN

    @property
    def home(self) -> str:
        """The ISO 3166 region whose national numbers are understood: the sender's, or Sweden."""
        region = self.sender.region if isinstance(self.sender, Number) else ""
        return region if region.isalpha() else HOME_REGION


def largest_price(policy: Policy, currency: str) -> Money:
    """Say what one message may cost at most, in the account's currency."""
    return _most(policy.budget_per_message, 10, currency)


def largest_day(policy: Policy, currency: str) -> Money:
    """Say what any 24 hours may cost at most, in the account's currency."""
    return _most(policy.budget_per_day, 100, currency)


def _most(configured: int | None, kronor: int, currency: str) -> Money:
    """Take what was configured; else so many kronor, or a tenth of that in another currency."""
    if configured is not None:
        return Money(configured, currency)
    whole = Money(kronor * UNITS, currency)
    return whole if currency in {"SEK", "NOK", "DKK"} else whole.split(10)


def check_liftable(policy: Policy, *, can_ask: bool) -> None:
    """Check that a person could let one text out of a dry run.

    Raises:
        NotApproved: nobody may or can be asked.
    """
    if policy.read_only:
        raise NotApproved(
            "This server is read-only (ELKS_READ_ONLY).", hint="Only its operator can change that."
        )
    if policy.confirm is Confirm.NEVER:
        raise NotApproved(
            "This server is in dry run, and may not ask anybody to lift it (ELKS_CONFIRM=never).",
            hint=_TURN_LIVE,
        )
    if not can_ask:
        raise NotApproved(
            "This server is in dry run, and this client cannot ask a person to lift it.", hint=_TURN_LIVE
        )


def reasons_to_ask(
    policy: Policy, findings: tuple[Finding, ...], *, lifts_dry_run: bool
) -> tuple[Finding, ...]:
    """List why a person should agree before a text goes out."""
    reasons = []
    if lifts_dry_run:
        where = "go to a simulated phone" if policy.simulated else "really be sent"
        reasons.append(_asks("dry_run", f"The server is in dry run; this text would {where}."))
    elif policy.confirm is Confirm.ALWAYS:
        reasons.append(_asks("confirm", "The operator wants a person to agree to every text."))
    return (*reasons, *of_effect(findings, Effect.ASK))


def who_agrees(policy: Policy, reasons: tuple[Finding, ...], *, can_ask: bool) -> Approver:
    """Say who has to agree for these reasons: policy by itself, or a person, here or in a terminal.

    Raises:
        NotApproved: it takes a person, and nobody may be asked.
    """
    if binding := [reason for reason in reasons if reason.guard in PERSON_ONLY]:
        if policy.confirm is Confirm.NEVER:
            never = "That takes a person's yes, and nobody may be asked (ELKS_CONFIRM=never)."
            raise NotApproved(
                f"{binding[0].reason} {never}",
                hint="The operator can set ELKS_CONFIRM=auto; or try again when the 30 minutes are over.",
            )
        return Approver.PERSON if can_ask else Approver.TERMINAL
    asked = bool(reasons) and can_ask and policy.confirm is Confirm.AUTO
    return Approver.PERSON if asked else Approver.POLICY


_TURN_LIVE = "The operator can set DRY_RUN=false to send for real; dryRun=true shows the price."
PERSON_ONLY = frozenset({"dry_run", "confirm", "tainted"})
"""Reasons for which a text waits for a person, even if the client cannot ask one."""


def _asks(name: str, reason: str) -> Finding:
    return Finding(guard=name, effect=Effect.ASK, reason=reason)
