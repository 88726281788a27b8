"""Plan a batch: fill the texts, price them, and run the guards on each. Nothing is sent."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import anyio.lowlevel

from elks_mcp.domain.batches import ALREADY_SENT, REPEATS_ABOVE, BatchPlan, LeftOut, find_last_slot
from elks_mcp.domain.cleaning import cleaned
from elks_mcp.domain.guards import is_on
from elks_mcp.domain.merge_fields import EmptyField, Template
from elks_mcp.domain.orders import ORDER_LATENESS, Draft
from elks_mcp.domain.phone import Number, Sender
from elks_mcp.domain.send_times import check_no_time_zone, parse_send_time
from elks_mcp.domain.wording import format_count, format_duration
from elks_mcp.errors import InvalidInput, ProviderError, Refused
from elks_mcp.sending.batch_rows import CheckedRows, FilledRow, list_rest, read_template
from elks_mcp.sending.plan import Planner
from elks_mcp.sending.prices import price_class
from elks_mcp.spreadsheets.recipient_lists import RecipientEntry, RecipientList

_ANY_NUMBER = Number("+46700000000")


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """A request to plan a batch, as the caller gave it."""

    message: str = field(repr=False)
    """The text, with merge fields."""

    recipients: RecipientList
    sender: str = ""
    """Empty: the operator's default."""

    send_at: str = ""
    time_zone: str = ""
    name: str = ""
    again: bool = False
    """Whether rows are sent although an earlier order covers them."""


@dataclass(frozen=True, slots=True)
class BatchPlanner:
    """Plans the batches of one caller."""

    planner: Planner
    """Plans the caller's single texts. A batch uses what it uses."""

    caller: str = ""

    async def plan(self, request: BatchRequest) -> BatchPlan:
        """Build the plan of a request, and store it. Raises the errors of `build` and `store`."""
        return await self.store(await self.build(request))

    async def store(self, plan: BatchPlan) -> BatchPlan:
        """Store a plan, and return it with its id.

        Raises:
            Refused: the caller has too many plans that were not started.
        """
        return await (await self.planner.storage.open()).batches.add(plan)

    async def build(self, request: BatchRequest) -> BatchPlan:
        """Freeze, price and check the rows of a request; nothing is sent or stored.

        Raises:
            InvalidInput: the message, the sender or the time cannot be used.
            Misconfigured: credentials or the sender are missing.
            Refused: there are too many rows, or the daily budget does not allow them.
            ProviderError: 46elks cannot price the texts, or history cannot be read.
            StateUnavailable: the store cannot be used.
        """
        self.planner.setup.require_account(sender=not request.sender)
        if self.planner.policy.live:
            self.planner.setup.require_clear_names()
        self.check_size(len(request.recipients.entries))
        template = read_template(request.message, request.recipients.fields)
        await self.planner.refresh_history()
        filled, left_out = await self._fill(request, template)
        send_at = self._read_time(request, filled)
        rows = [self._time(row, send_at) for row in filled]
        checked = await self._check(request, rows)
        await self._check_lateness(send_at, len(checked.rows))
        return BatchPlan(
            id="",
            caller=self.caller,
            name=" ".join(cleaned(request.name).split()),
            sender=self._read_sender(request),
            rows=tuple(checked.rows),
            left_out=tuple(sorted([*left_out, *checked.left_out], key=lambda each: each.row)),
            findings=tuple(checked.findings),
            repairs={repair: len(rows) for repair, rows in request.recipients.repairs.items()},
            planned_at=self.planner.clock.now(),
            send_at=send_at,
            lateness=self._lateness if send_at else ORDER_LATENESS,
            again=request.again,
            at_night=not is_on("night", self.planner.policy),
        )

    async def list_rest(self, batch_id: str) -> RecipientList:
        """Return the recipients of the caller's batch whose texts were not sent, and will not be.

        A recipient whose text was sent, may have been sent, or was sent by another order is left out.

        Raises:
            NotFound: the caller has no such batch, or its plan was deleted.
            InvalidInput: the batch was not started, or has no such recipient.
        """
        store = await self.planner.storage.open()
        batch = await store.batches.get(batch_id, caller=self.caller)
        if batch.started_at is None:
            raise InvalidInput(f"{batch.id} was not started.", hint="Plan the whole list again.")
        plan = await store.batches.get_plan(batch.id, caller=self.caller)
        rest = list_rest(plan, dict(await store.batches.list_orders(batch.id)))
        if not rest:
            raise InvalidInput(
                f"{batch.id} has no recipient left whose text was not sent.", hint="Check the batch instead."
            )
        names = dict.fromkeys(name for entry in rest for name in entry.fields)
        return RecipientList(tuple(names), tuple(rest))

    def draft_row(self, plan: BatchPlan, row: int, to: Number) -> Draft:
        """Return the draft of a text that reads as one row of a plan and goes to `to` now.

        Raises:
            InvalidInput: the plan has no such row.
        """
        for each in plan.rows:
            if each.row == row and each.text is not None:
                return plan.draft(each).model_copy(update={"to": to, "send_at": None})
        raise InvalidInput(f"The plan has no text in row {row}.", hint="Name a row that gets a text.")

    def check_size(self, rows: int) -> None:
        """Check that a batch may have this number of rows.

        Raises:
            Refused: it may not.
        """
        most = self.planner.policy.max_batch
        if rows > most:
            raise Refused(
                f"Refused by batch_size: the list has {rows} rows, and a batch may have "
                f"{most} recipients. The operator can change that with ELKS_MAX_BATCH (up to 2000).",
                hint="For larger mailings, 46elks offers JustSend.",
                guards=("batch_size",),
            )

    def _read_sender(self, request: BatchRequest) -> Sender:
        sample = self.planner.orders.draft_text(_ANY_NUMBER, "x", request.sender)
        return sample.sender

    async def _fill(self, request: BatchRequest, template: Template) -> tuple[list[FilledRow], list[LeftOut]]:
        """Return the rows with their numbers and texts, and those that have none."""
        rows: list[FilledRow] = []
        left_out: list[LeftOut] = []
        seen: set[tuple[str, str]] = set()
        for entry in request.recipients.entries:
            await anyio.lowlevel.checkpoint()  # a long list must not keep others from sending
            filled = await self._fill_one(entry, template, request)
            if isinstance(filled, LeftOut):
                left_out.append(filled)
            elif (key := (filled.draft.to.e164, filled.draft.text)) in seen:
                left_out.append(filled.leave_out(REPEATS_ABOVE))
            else:
                seen.add(key)
                rows.append(filled)
        return rows, left_out

    async def _fill_one(
        self, entry: RecipientEntry, template: Template, request: BatchRequest
    ) -> FilledRow | LeftOut:
        fields = dict(entry.fields)
        if entry.fault:
            return LeftOut(row=entry.row, to=None, reason=entry.fault, fields=fields)
        try:
            to = entry.to or await self.planner.find_recipient(entry.name)
        except InvalidInput:
            reason = "No contact has that name, or it can mean several numbers."
            return LeftOut(row=entry.row, to=None, reason=reason, fields=fields)
        text = template.fill(entry.fields)
        if isinstance(text, EmptyField):
            reason = f"The field {text.name} is empty and has no default."
            return LeftOut(row=entry.row, to=to, reason=reason, fields=fields)
        try:
            draft = self.planner.orders.draft_text(to, text, request.sender)
        except InvalidInput as error:
            return LeftOut(row=entry.row, to=to, reason=str(error), fields=fields)
        return FilledRow(entry.row, draft, fields)

    @property
    def _lateness(self) -> timedelta:
        return timedelta(minutes=self.planner.policy.latest)

    def _time(self, row: FilledRow, send_at: datetime | None) -> FilledRow:
        """Return a row that goes out at a time, so that it is checked as of then."""
        if send_at is None:
            return row
        timing = {"send_at": send_at, "lateness": self._lateness}
        return replace(row, draft=row.draft.model_copy(update=timing))

    def _read_time(self, request: BatchRequest, rows: Sequence[FilledRow]) -> datetime | None:
        """Return when the first text goes out; None for as soon as the batch is started.

        Raises:
            InvalidInput: the time cannot be used.
        """
        if not request.send_at:
            check_no_time_zone(request.time_zone)
            return None
        by_zones = {row.draft.to.zones: row.draft.to for row in rows} or {(): _ANY_NUMBER}
        home, now = self.planner.policy.time_zone, self.planner.clock.now()
        at = {
            parse_send_time(request.send_at, request.time_zone, to=to, home=home, now=now)
            for to in by_zones.values()
        }
        if len(at) > 1:
            raise InvalidInput(
                "The recipients are in different time zones, so the send time can mean several moments.",
                hint="Name the time zone, or write the time with its offset.",
            )
        return at.pop()

    async def _check_lateness(self, send_at: datetime | None, rows: int) -> None:
        """Check that the last of some scheduled texts leaves in time, behind others of that time.

        Raises:
            InvalidInput: it does not, at the pace of this server.
        """
        if send_at is None:
            return
        others = await (await self.planner.storage.open()).schedule.count_at(send_at)
        needed = find_last_slot(send_at, others + rows, self.planner.outbox.pace.gap) - send_at
        if needed > self._lateness:
            raise InvalidInput(
                f"At the pace of this server, {format_count(rows, 'text')} take {format_duration(needed)}"
                f"{f', behind {others} others of the same time' if others else ''}, "
                f"and a scheduled text may be {format_duration(self._lateness)} late.",
                hint="Plan several batches at different times, or ask the operator to raise ELKS_LATEST.",
            )

    async def _check(self, request: BatchRequest, rows: Sequence[FilledRow]) -> CheckedRows:
        """Price the rows, and run the guards on each."""
        if not rows:
            return CheckedRows()
        checks = self.planner.orders.checks
        await checks.own_numbers.read()
        store = await self.planner.storage.open()
        drafts, at_night = [row.draft for row in rows], self.planner.outbox.pace.at_night
        known = await store.batches.recall(drafts, self.planner.orders.quotes.shown, at_night=at_night)
        prices = await self.planner.orders.quotes.get_prices(row.draft for row in rows)
        checked, to_them = CheckedRows(), Counter[str]()
        for row, recall, covered in zip(rows, known.recalls, known.covered, strict=True):
            await anyio.lowlevel.checkpoint()
            estimate = prices[price_class(row.draft)]
            if isinstance(estimate, ProviderError):
                why = f"46elks gives no price for a text to {row.draft.to.country}."
                checked.left_out.append(row.leave_out(why))
            elif covered and checks.dedupes and not request.again:
                reason = f"{ALREADY_SENT}, or will be, in {covered.batch_id or covered.order_id}."
                checked.left_out.append(row.leave_out(reason))
            else:
                counted = recall.counting(to_them[row.draft.to.e164])
                findings = checks.find(row.draft, estimate, counted, live=True)  # a live server may start it
                if checked.add(row, estimate, findings):
                    to_them[row.draft.to.e164] += 1
        await self._check_budget({row.row: row.draft for row in rows}, checked)
        return checked

    async def _check_budget(self, drafts: Mapping[int, Draft], checked: CheckedRows) -> None:
        """Check the daily budget for the rows that are sent.

        Raises:
            Refused: it does not allow them.
        """
        if not checked.rows:
            return
        sent, prices = [drafts[row.row] for row in checked.rows], [row.price for row in checked.rows]
        store, pace = await self.planner.storage.open(), self.planner.outbox.pace
        check = self.planner.orders.checks.recheck_sum
        if why_not := await store.batches.find_excess(sent, prices, pace, check):
            raise Refused(why_not, guards=("daily_budget",))
