"""Texts that go out later: when, who sends them, and those that were not sent at their time."""

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import AwareDatetime, Field

from elks_mcp.answers.listing import read_style
from elks_mcp.answers.people import People, read_people
from elks_mcp.answers.structured import ContactName, MissedReport, StructuredAnswer
from elks_mcp.answers.text_list import LEFT_OUT
from elks_mcp.app import App
from elks_mcp.domain.display import split_lines, visible
from elks_mcp.domain.number_search import find_numbers
from elks_mcp.domain.orders import Order, OrderState
from elks_mcp.domain.send_times import format_send_time
from elks_mcp.domain.wording import format_count
from elks_mcp.errors import ElksError
from elks_mcp.runtime.launcher import show_command
from elks_mcp.sending.server_setup import locate_approval
from elks_mcp.store import QueueEstimate

if TYPE_CHECKING:
    from elks_mcp.store.schedule import ScheduledBatch

MOST_LISTED = 50
"""The most texts of one kind in one answer."""

_LISTED_AFTERWARDS = timedelta(days=7)
"""How long a text that was not sent at its time is listed."""

_FIRST_WORDS = 60
"""Characters that a list shows of a text: enough to recognize it."""


class ScheduledText(StructuredAnswer):
    """A text that goes out later, or that was not sent at its time."""

    order_id: str
    send_at: AwareDatetime | None
    when: Annotated[str, Field(description="The same in words, in the recipient's zone if it is known.")]
    to: str
    to_name: ContactName = None
    text: Annotated[str, LEFT_OUT, Field(description="Its first words.")] = ""
    why: Annotated[str, LEFT_OUT, Field(description="Why it was not sent.")] = ""

    @property
    def recipient(self) -> str:
        """The recipient by name and number, or only by number."""
        return f"{self.to_name} ({self.to})" if self.to_name else self.to

    def in_words(self) -> str:
        """Return the text as one line."""
        return f"- {self.when}, {self.order_id}, to {self.recipient}: {self.why or self.text}"


class ScheduledBatchEntry(StructuredAnswer):
    """Texts of a batch that go out later, or that were not sent at their time."""

    batch_id: str
    send_at: Annotated[AwareDatetime, Field(description="The time of the first of them.")]
    when: str
    texts: int
    why: Annotated[str, LEFT_OUT] = ""

    def in_words(self) -> str:
        """Return the texts as one line."""
        why = f": {self.why}" if self.why else ""
        return f"- {self.when}, batch {self.batch_id}: {format_count(self.texts, 'text')}{why}"


class ScheduledAnswer(MissedReport):
    """The caller's scheduled texts and batches, and texts that were not sent as scheduled."""

    now: str
    zone: str
    scheduled: tuple[ScheduledText, ...]
    batches: Annotated[tuple[ScheduledBatchEntry, ...], Field(exclude_if=lambda found: not found)] = ()
    not_sent: Annotated[tuple[ScheduledText, ...], Field(description="Of the last 7 days, the latest first.")]
    batches_not_sent: Annotated[
        tuple[ScheduledBatchEntry, ...], Field(exclude_if=lambda found: not found)
    ] = ()
    note: Annotated[str, LEFT_OUT] = ""

    def in_words(self) -> str:
        """Return a line for each text and each batch."""
        none = "No text outside a batch" if self.batches else "No text"
        count = format_count(len(self.scheduled), "text") if self.scheduled else none
        verb, order = ("are", ", the earliest first") if len(self.scheduled) > 1 else ("is", "")
        head = f"{count} {verb} scheduled{order}. Now {self.now} ({self.zone}). {self.note}".rstrip()
        lines = [head, *(each.in_words() for each in self.scheduled)]
        lines += [each.in_words() for each in self.batches]
        missed = [each.in_words() for each in self.not_sent]
        missed += [each.in_words() for each in self.batches_not_sent]
        if missed:
            lines += ["Not sent as scheduled, in the last 7 days:", *missed]
        return "\n".join(lines)


async def list_scheduled(app: App) -> ScheduledAnswer:
    """List the caller's scheduled texts, and those of the last 7 days not sent as scheduled.

    Raises:
        StateUnavailable, Misconfigured: the state or the contacts cannot be used.
    """
    style = await read_style(app)
    upcoming, batches, missed, missed_batches = await _read_schedule(app)
    notes = []
    if len(upcoming) > MOST_LISTED or len(missed) > MOST_LISTED:
        notes.append(f"Only {MOST_LISTED} of each kind are listed.")
    if upcoming or batches:
        notes.append(await describe_sending_server(app, "Each text"))
    return ScheduledAnswer(
        now=style.now_in_words,
        zone=style.zone_in_words,
        scheduled=tuple(_list_order(app, each, style.people) for each in upcoming[:MOST_LISTED]),
        batches=tuple(_list_batch(app, each) for each in batches[:MOST_LISTED]),
        batches_not_sent=tuple(_list_batch(app, each) for each in missed_batches[:MOST_LISTED]),
        not_sent=tuple(_list_order(app, each, style.people) for each in missed[:MOST_LISTED]),
        note=" ".join(notes),
    )


class SendForecast(NamedTuple):
    """The time at which an order goes out, and the server that sends it, as far as it is known."""

    estimate: QueueEstimate | None = None
    """When it may go out, if it is queued."""

    who_sends: str = ""
    """A sentence on which server sends it, if it is scheduled."""


async def find_forecast(app: App, order: Order) -> SendForecast:
    """Find out when an order goes out, and who sends it."""
    if order.state is OrderState.SCHEDULED:
        return SendForecast(who_sends=await describe_sending_server(app))
    return SendForecast(estimate=await app.outbox.estimate(order))


async def describe_sending_server(app: App, subject: str = "It") -> str:
    """Return a sentence on which server sends what is scheduled. `subject`: its first words."""
    if not app.storage.location.is_durable:
        return f"{subject} is sent only if this server still runs then: its state is in memory."
    if kind := await (await app.storage.open()).heartbeats.find_alive():
        command = show_command(kind.command)
        return f"{subject} is sent by the server that runs now, if it still runs then: {command}."
    server, start = "this server" if app.policy.live else "a live server", app.command("serve")
    client = f"a client with {server} is open then"
    return f"{subject} is sent only if {client}, or a server runs that was started with {start}"


async def take_missed(app: App) -> tuple[str, ...]:
    """Return a line for each text of the caller that was not sent at its time, each once.

    If the state cannot be used, nothing is returned, and the lines are left for the next call.
    """
    if not (app.storage.exists and app.has_account):
        return ()
    with suppress(ElksError):
        store = await app.storage.open()
        if missed := await store.schedule.take_unreported(app.caller.agent):
            people = await read_people(app)
            singles = [each for each in missed if not each.batch_id]
            lines = [_report_missed(app, each, people) for each in singles[:MOST_LISTED]]
            more = len(singles) - MOST_LISTED
            lines += [f"Not sent as scheduled: {more} more texts."] if more > 0 else []
            return (*lines, *_report_missed_batches(missed))
    return ()


def _report_missed_batches(missed: Iterable[Order]) -> list[str]:
    """Return a line for each batch with rows that were not sent at their time."""
    rows = Counter(
        (each.batch_id, _name_outcome(each), each.status_reason) for each in missed if each.batch_id
    )
    return [
        f"{outcome}: {format_count(count, 'text')} of batch {batch_id}. {why}"
        for (batch_id, outcome, why), count in rows.items()
    ]


def _name_outcome(order: Order) -> str:
    """Return what became of an order that was scheduled: it was not sent, or may have been."""
    return "Unknown whether it was sent" if order.state is OrderState.UNKNOWN else "Not sent as scheduled"


async def _read_schedule(
    app: App,
) -> tuple[list[Order], list["ScheduledBatch"], list[Order], list["ScheduledBatch"]]:
    """Return the caller's scheduled orders and batches, and the missed ones of both.

    Reading creates no state.
    """
    if not app.storage.exists:
        return [], [], [], []
    schedule, caller = (await app.storage.open()).schedule, app.caller.agent
    since = app.clock.now() - _LISTED_AFTERWARDS
    return (
        await schedule.list_upcoming(MOST_LISTED + 1, caller),
        await schedule.list_batches(caller),
        await schedule.list_missed(since, caller),
        await schedule.list_missed_batches(since, caller),
    )


def _list_order(app: App, order: Order, people: People) -> ScheduledText:
    number = order.to.e164 if order.to else ""
    return ScheduledText(
        order_id=order.id,
        send_at=order.send_at,
        when=format_send_time(order.send_at, order.to, app.policy.time_zone) if order.send_at else "",
        to=number or "a forgotten number",
        to_name=people.find_name(number),
        text=_shorten(order.text or "", app.policy.home),
        why=_explain_missed(order.status_reason, may_be_sent=order.state is OrderState.UNKNOWN),
    )


def _explain_missed(why: str, *, may_be_sent: bool) -> str:
    return f"It may have been sent: do not send it again. {why}" if may_be_sent else why


def _list_batch(app: App, batch: "ScheduledBatch") -> ScheduledBatchEntry:
    when = format_send_time(batch.first_at, None, app.policy.time_zone)
    return ScheduledBatchEntry(
        batch_id=batch.id,
        send_at=batch.first_at,
        when=when,
        texts=batch.texts,
        why=_explain_missed(batch.why, may_be_sent=batch.are_unknown),
    )


def _report_missed(app: App, order: Order, people: People) -> str:
    text = _list_order(app, order, people)
    what = f"the text to {text.recipient} for {text.when} (order {text.order_id}). {text.why}"
    if order.state is OrderState.UNKNOWN:
        decide = app.command(f"outbox resolve {order.id} --sent")
        return f"{_name_outcome(order)}: {what} A person can look at 46elks.com and record it: {decide}"
    if order.state is not OrderState.WAITING:
        return f"{_name_outcome(order)}: {what}"
    where = locate_approval(order.approval_code, app.command, app.approval_page)
    return f"Not sent as scheduled, but waiting: {what} That can be done {where}"


def _shorten(text: str, home: str) -> str:
    """Return the first words of a text as one line, which does not end within a number."""
    line = visible("⏎".join(split_lines(text)))
    if len(line) <= _FIRST_WORDS:
        return line
    within = (each for each in find_numbers(line, home) if each.start < _FIRST_WORDS < each.end)
    end = next((each.start for each in within), _FIRST_WORDS)
    return f"{line[:end].rpartition(' ')[0] or line[:end]}…"
