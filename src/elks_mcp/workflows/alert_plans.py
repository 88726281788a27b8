"""Plan an alert: find its people, price each step, and run the guards. Nothing is sent."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from elks_mcp.domain.alerts import AlertPlan, LeftOutPerson
from elks_mcp.domain.contacts import GROUP_MARK, Contact, Contacts, quote_name
from elks_mcp.domain.escalation import (
    MOST_IN_STAGE,
    Contacting,
    EscalationPath,
    EscalationPolicy,
    Means,
    Stage,
)
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Draft, Effect, Finding, of_effect
from elks_mcp.domain.payloads import Payload, build_sms
from elks_mcp.domain.phone import Number, SenderId
from elks_mcp.domain.wording import format_count
from elks_mcp.errors import InvalidInput, Misconfigured, ProviderError, Refused, SpeechUnavailable
from elks_mcp.sending.checks import listed
from elks_mcp.sending.plan import Planner
from elks_mcp.sending.prices import price_class
from elks_mcp.workflows.policy_files import PolicyFile


class PeopleInGroups(Protocol):
    """The operator's contacts, whose groups can be alerted."""

    async def read_leniently(self) -> Contacts:
        """Return the contacts, or those of the last reading if they cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class AlertRequest:
    """A request for an alert, as the caller gave it."""

    message: str = field(repr=False)
    policy: str
    idempotency_key: str = ""
    dry_run: bool | None = None
    """True: price only. False: really alert. None: the operator's choice."""

    @property
    def identity(self) -> tuple[str, ...]:
        """The part that is equal in two requests for the same alert."""
        return self.policy.strip(), self.message.strip()


class PrepareCall(Protocol):
    """Prepares the content of an alert's calls."""

    async def __call__(self, said: str, *, keep: bool) -> Payload:
        """Return the content of a call that says sentences and asks for one digit.

        `keep`: whether it is stored for a while. A dry run does not store it.

        Raises:
            InvalidInput: the sentences cannot be said.
            SpeechUnavailable: the program that says them fails. It is a Misconfigured.
            Misconfigured: this server lacks something that calls need.
        """
        ...


_Target = tuple[Number, Means]
_Unpriced = tuple[Means, list[Number], timedelta]


@dataclass(frozen=True, slots=True)
class AlertPlanner:
    """Plans the alerts of one caller."""

    planner: Planner
    """Plans the caller's single texts. An alert uses what it uses."""

    contacts: PeopleInGroups
    load: Callable[[], PolicyFile]
    """Reads the operator's policies. Raises Misconfigured."""

    caller: str = ""
    prepare_call: PrepareCall | None = None
    """Prepares what is said in a call, which asks for one digit; None if no call can be placed."""

    async def build(self, request: AlertRequest) -> AlertPlan:
        """Return the plan of a request, without an id and a code.

        A person whom a guard refuses is left out, and the others are alerted. If the program that speaks
        fails, nobody is called, and those whom texts reach are texted.

        Raises:
            InvalidInput: the message cannot be sent, there is no such policy, or it names an unknown person.
            Misconfigured: credentials, the sender, the policy file or what calls need are missing or cannot
                be used.
            Refused: the guards refuse everybody, or the cost cap does not suffice for the first step.
            ProviderError: 46elks cannot price the texts, or history cannot be read.
            StateUnavailable: the store cannot be used.
        """
        self.planner.setup.require_account(sender=True)
        policy = self.load().get(request.policy)
        stages = await self._find_stages(policy)
        draft = self._build_plan(request, policy, _price_all(stages, {}))
        build_sms(request.message)  # raises what is wrong with the caller's own words
        if any(stage.means is Means.CALL for stage in draft.path.stages):
            keep = self.planner.policy.live and not request.dry_run
            try:
                draft = draft.model_copy(update={"spoken": await self._prepare_call(draft, keep=keep)})
            except SpeechUnavailable as error:
                stages, without = _leave_out_calls(stages, error)
                draft = draft.model_copy(update=without | {"path": _path(stages, {}, policy)})
        await self.planner.refresh_history()
        prices, left_out, findings = await self._check(draft)
        kept = [
            (means, [to for to in people if (to, means) in prices], wait) for means, people, wait in stages
        ]
        path = _path([each for each in kept if each[1]], prices, policy)
        return draft.model_copy(
            update={
                "path": path,
                "most": _find_most(path, policy),
                "left_out": draft.left_out + left_out,
                "findings": draft.findings + findings,
            }
        )

    async def find_people(self, whom: str) -> tuple[Number, ...]:
        """Return the numbers of the person or group that a step of a policy names.

        Raises:
            InvalidInput: the name is unknown or ambiguous, or the group is empty or too large.
        """
        if not whom.startswith(GROUP_MARK):
            return (await self.planner.find_recipient(whom),)
        people = (await self.contacts.read_leniently()).list_group(whom)
        if not people:
            raise InvalidInput(f"No contact is in a group {quote_name(whom)}.", hint=_CORRECT)
        if len(people) > MOST_IN_STAGE:
            count = format_count(len(people), "contact")
            raise InvalidInput(
                f"{quote_name(whom)} has {count}; a step reaches {MOST_IN_STAGE} at most.", hint=_CORRECT
            )
        return tuple(dict.fromkeys(_choose_number(each) for each in people))

    async def _prepare_call(self, plan: AlertPlan, *, keep: bool) -> Payload:
        """Return the content of the calls of an alert. Raises the errors of `prepare_call`."""
        if self.prepare_call is None:
            raise Misconfigured(
                f"The policy {plan.policy} calls people, and this server cannot call.",
                hint="The operator can write `by: sms`.",
            )
        return await self.prepare_call(plan.said, keep=keep)

    async def _find_stages(self, policy: EscalationPolicy) -> list[_Unpriced]:
        stages: list[_Unpriced] = []
        for step in policy.steps:
            people = list(await self.find_people(step.whom))
            stages += [(means, people, step.wait) for means in step.means]
        return stages

    def _build_plan(
        self, request: AlertRequest, policy: EscalationPolicy, stages: tuple[Stage, ...]
    ) -> AlertPlan:
        sender = self.planner.orders.draft_text(stages[0].people[0].to, "x").sender
        if isinstance(sender, SenderId):
            raise Misconfigured(
                f"Alerts go out from {sender.name}, and nobody can answer a text from a name.",
                hint="Set ELKS_PHONE_NUMBER to a number of the account that receives texts.",
            )
        return AlertPlan(
            caller=self.caller,
            policy=policy.name,
            message=request.message,
            signature=self.planner.policy.signature,
            language=policy.language,
            sender=sender,
            path=EscalationPath(stages=stages, rounds=policy.rounds),
            most=Money(0),
            time_cap=policy.time_cap,
            planned_at=self.planner.clock.now(),
        )

    async def _check(
        self, plan: AlertPlan
    ) -> tuple[Mapping[_Target, Contacting], tuple[LeftOutPerson, ...], tuple[Finding, ...]]:
        """Price and check one draft for each person and means."""
        drafts = _list_drafts(plan)
        checks, quotes = self.planner.orders.checks, self.planner.orders.quotes
        await checks.own_numbers.read()
        store = await self.planner.storage.open()
        known = await store.batches.recall(list(drafts.values()), quotes.shown, at_night=True)
        estimates = await quotes.get_prices(drafts.values())
        priced: dict[_Target, Contacting] = {}
        left_out: list[LeftOutPerson] = []
        findings: list[Finding] = []
        known_of: set[tuple[Number, str, Effect]] = set()
        """The guards that found something about each person, in the text or in the call."""
        for ((to, means), draft), recall in zip(drafts.items(), known.recalls, strict=True):
            estimate = estimates[price_class(draft)]
            if isinstance(estimate, ProviderError):
                left_out.append(LeftOutPerson(to=to, reason=f"46elks gives no price for {to.country}."))
                continue
            everything = checks.find(draft, estimate, recall, live=self.planner.policy.live)
            found = tuple(each for each in everything if each.guard not in _NOT_FOR_ALERTS)
            if refusing := of_effect(found, Effect.REFUSE):
                left_out.append(LeftOutPerson(to=to, reason=listed(refusing)))
                continue
            parts = estimate.parts or draft.payload.parts
            priced[to, means] = Contacting(to=to, price=estimate.price, parts=parts)
            findings += (each for each in found if (to, each.guard, each.effect) not in known_of)
            known_of |= {(to, each.guard, each.effect) for each in found}
        if not priced:
            raise Refused(" ".join(dict.fromkeys(each.reason for each in left_out)))
        findings += self._find_many(len({to for to, _ in priced}))
        return priced, tuple(left_out), _without_repeats(findings)

    def _find_many(self, people: int) -> list[Finding]:
        if people <= self.planner.policy.ask_from:
            return []
        return [Finding(guard="many", effect=Effect.ASK, reason=f"It is an alert to {people} people.")]


_NOT_FOR_ALERTS = frozenset({"night"})
"""Guards that do not concern an alert, which is for the night, too."""


def _price_all(stages: Iterable[_Unpriced], prices: Mapping[_Target, Contacting]) -> tuple[Stage, ...]:
    return tuple(
        Stage(
            means=means,
            people=tuple(prices.get((to, means)) or Contacting(to=to, price=Money(0)) for to in people),
            wait=wait,
        )
        for means, people, wait in stages
    )


def _path(
    stages: Iterable[_Unpriced], prices: Mapping[_Target, Contacting], policy: EscalationPolicy
) -> EscalationPath:
    return EscalationPath(stages=_price_all(stages, prices), rounds=policy.rounds)


def _leave_out_calls(
    stages: list[_Unpriced], error: SpeechUnavailable
) -> tuple[list[_Unpriced], dict[str, object]]:
    """Return the stages that text, and what the plan says about that. Raise if there are none."""
    texts = [each for each in stages if each[0] is not Means.CALL]
    if not texts:
        raise error
    texted = {to for _, people, _ in texts for to in people}
    silent = dict.fromkeys(to for _, people, _ in stages for to in people if to not in texted)
    why = f"Calls are left out, and people are only texted. {error} {error.hint}"
    return texts, {
        "left_out": tuple(LeftOutPerson(to=to, reason="The policy only calls them.") for to in silent),
        "findings": (Finding(guard="speech", effect=Effect.WARN, reason=why),),
    }


def _list_drafts(plan: AlertPlan) -> dict[_Target, Draft]:
    drafts: dict[_Target, Draft] = {}
    for position, stage in enumerate(plan.path.stages):
        for number, each in enumerate(stage.people):
            drafts.setdefault((each.to, stage.means), plan.draft(position, number))
    return drafts


def _find_most(path: EscalationPath, policy: EscalationPolicy) -> Money:
    """Return the most that an alert can cost.

    Raises:
        Refused: the policy's cap does not suffice for the first stage.
    """
    cap = Money.parse(policy.cost_cap, path.currency)
    first = path.stages[0].price
    if cap < first:
        raise Refused(
            f"The first step of {policy.name} costs {first}, and its cost_cap is {cap}.",
            hint="The operator can raise cost_cap in the policy file.",
        )
    return min(cap, path.price)


def _choose_number(contact: Contact) -> Number:
    if contact.chosen:
        return contact.chosen.number
    fault = "several numbers" if contact.numbers else "no number"
    raise InvalidInput(f"The contact {quote_name(contact.shown_name)} has {fault}.", hint=_CORRECT)


def _without_repeats(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple({(each.guard, each.reason): each for each in findings}.values())


_CORRECT = "The operator can correct the policy file or the contacts."
