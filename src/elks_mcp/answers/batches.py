"""How far a batch is: what was sent, what is left, what failed and why, and who answered."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import tzinfo
from typing import Annotated

from pydantic import AwareDatetime, Field

from elks_mcp.answers.batch_plans import report_plan
from elks_mcp.answers.batch_steps import BatchSteps, list_tools
from elks_mcp.answers.structured import Answer, MoneyField
from elks_mcp.answers.text_list import LEFT_OUT, TextListAnswer
from elks_mcp.app import App
from elks_mcp.domain.batches import RESUMABLE_FOR, Batch, BatchPlan, BatchState
from elks_mcp.domain.models import Direction, HistoryFilter, Listing, Scope
from elks_mcp.domain.wording import format_count, format_time_in
from elks_mcp.errors import ProviderError

MOST_REPLIES = 20
_MOST_REASONS = 5

ShowReplies = Callable[[App, Listing], Awaitable[TextListAnswer]]
"""Returns texts for the reader, and records that they were shown."""


class BatchAnswer(Answer):
    """How far a batch is."""

    status: str
    batch_id: str
    summary: Annotated[str, Field(description="The status in words, and what to do.")]
    counts: Annotated[Mapping[str, int], Field(description="Texts by state.")]
    unfinished: int
    spent: MoneyField
    total: MoneyField
    last_at: Annotated[AwareDatetime | None, LEFT_OUT] = None
    failures: Annotated[Mapping[str, int], Field(exclude_if=lambda value: not value)] = {}
    note: Annotated[str, LEFT_OUT] = ""
    reply_count: Annotated[int | None, LEFT_OUT] = None
    replied: Annotated[int | None, LEFT_OUT, Field(description="How many recipients replied.")] = None
    replies: Annotated[
        TextListAnswer | None, LEFT_OUT, Field(description="The latest, since the start of the batch.")
    ] = None

    @property
    def outcome(self) -> str:
        """The status."""
        return self.status

    def in_words(self) -> str:
        """Return the status, the sums, why texts failed, and the replies."""
        counted = ", ".join(f"{number} {state}" for state, number in self.counts.items())
        lines = [
            f"{self.summary}\nBatch {self.batch_id}.",
            f"Texts: {counted}. Spent: {self.spent} of {self.total}." if counted else "",
            *(f"- {format_count(number, 'text')}: {why}" for why, number in self.failures.items()),
            self.note,
            *self._describe_replies(),
        ]
        return "\n".join(filter(None, lines))

    def _describe_replies(self) -> list[str]:
        if self.reply_count is None:
            return []
        if self.replies is None or not self.reply_count:
            return ["No recipient has replied yet."]
        from_whom = f"Replies: {self.reply_count}, from {format_count(self.replied or 0, 'recipient')}."
        return [from_whom, self.replies.in_words()]


async def report_start(app: App, batch: Batch, *, is_repeat: bool) -> BatchAnswer:
    """Return how far a batch is after its start. `is_repeat`: whether it was started before."""
    answer = await report_batch(app, batch)
    if is_repeat:
        summary = f"{answer.summary} It was started before; this call changed nothing."
        return answer.model_copy(update={"summary": summary})
    return answer


async def report_dry_run(app: App, plan: BatchPlan) -> BatchAnswer:
    """Return what starting a plan would come to if the server were not in dry run."""
    planned = await report_plan(app, plan, can_ask=False)
    why = "is read-only" if app.policy.read_only else "is in dry run; its operator can set DRY_RUN=false"
    return BatchAnswer(
        status="dry_run",
        batch_id=plan.id,
        summary=f"Dry run: nothing was sent (this server {why}). It would be "
        f"{format_count(planned.texts, 'text')}, {format_count(planned.parts, 'part')}, {planned.price}. "
        f"{planned.when}",
        counts={},
        unfinished=len(plan.rows),
        spent=plan.total.times(0),
        total=plan.total,
    )


async def check(app: App, batch_id: str, show: ShowReplies) -> BatchAnswer:
    """Return how far the caller's batch is, with the replies if the caller may read them.

    Raises:
        NotFound: the caller has no such batch.
    """
    batch = await app.batches.get(batch_id)
    return await add_replies(app, batch, await report_batch(app, batch), show)


async def add_replies(app: App, batch: Batch, answer: BatchAnswer, show: ShowReplies) -> BatchAnswer:
    """Return an answer about the caller's batch with the replies, if the caller may read them."""
    if batch.started_at is None or not app.has_account or Scope.READ not in app.caller.scopes:
        return answer
    store = await app.storage.open()
    theirs = {order.to.e164 for _, order in await store.batches.list_orders(batch.id) if order.to}
    wanted = HistoryFilter(direction=Direction.INBOUND, since=batch.started_at)
    try:
        listing = await app.client.list_messages(_MOST_READ, wanted)
    except ProviderError as error:
        return answer.model_copy(update={"note": f"The replies cannot be read now. {error}"})
    replies = tuple(each for each in listing.messages if each.sender in theirs)
    shown = await show(app, listing.model_copy(update={"messages": replies[:MOST_REPLIES], "unread": ()}))
    return answer.model_copy(
        update={
            "reply_count": len(replies),
            "replied": len({each.sender for each in replies}),
            "replies": shown if replies else None,
        }
    )


_MOST_READ = 500
"""Received texts that are searched for replies."""


async def report_batch(app: App, batch: Batch) -> BatchAnswer:
    """Return how far a batch is, without the replies, for a model."""
    return describe_batch(batch, await list_tools(app, batch), app.policy.time_zone)


def describe_batch(batch: Batch, steps: BatchSteps, zone: tzinfo | None) -> BatchAnswer:
    """Return how far a batch is, without the replies.

    `steps`: what the reader can do next. `zone`: the reader's; None is the machine's.
    """
    left = batch.counts and batch.unfinished
    return BatchAnswer(
        status=batch.state,
        batch_id=batch.id,
        summary=_summarize(batch, steps, zone),
        counts={state.value.replace(" ", "_"): number for state, number in batch.counts.items()},
        unfinished=left or 0,
        spent=batch.spent,
        total=batch.total,
        last_at=batch.last_at,
        failures=_shorten(batch.failures),
    )


def _shorten(failures: Mapping[str, int]) -> dict[str, int]:
    """Return the most frequent reasons, and the sum of the others."""
    reasons = list(failures.items())
    shown = {reason or "No reason is known.": number for reason, number in reasons[:_MOST_REASONS]}
    others = sum(number for _, number in reasons[_MOST_REASONS:])
    return shown | ({"Other reasons.": others} if others else {})


def _summarize(batch: Batch, steps: BatchSteps, zone: tzinfo | None) -> str:
    """Return the state of a batch in words, and what to do."""
    match batch.state:
        case BatchState.RUNNING | BatchState.PAUSED:
            return _summarize_progress(batch, steps, zone)
        case BatchState.WAITING:
            return _summarize_wait(batch, steps)
        case BatchState.PLANNED:
            why = f" {batch.pause_reason}" if batch.pause_reason else ""
            return f"Planned: nothing was sent.{why} To start it: {steps.start}."
        case BatchState.EXPIRED:
            return "Expired: it was not started within 24 hours, and nothing was sent. Plan it again."
    return _summarize_end(batch, steps)


def _summarize_wait(batch: Batch, steps: BatchSteps) -> str:
    if batch.is_approved:
        return (
            f"Waiting: a person approved it, and a server starts it within seconds. {steps.sender}".rstrip()
        )
    code = f"approval {batch.approval_code}"
    return f"Waiting for {code}: nothing was sent. A person approves it {steps.approve}"


def _summarize_end(batch: Batch, steps: BatchSteps) -> str:
    if batch.started_at is None:
        return "Cancelled: nothing was sent, and nothing will be."
    left, total = batch.unfinished, format_count(batch.row_count, "text")
    how = f"{left} of {total} not ended yet: sending, or in doubt." if left else "every text has ended."
    rest = f" {batch.not_sent} of {total} not sent: {steps.rest} plans them again." if batch.not_sent else ""
    return f"{batch.state.capitalize()}: {how}{rest}"


def _summarize_progress(batch: Batch, steps: BatchSteps, zone: tzinfo | None) -> str:
    done = batch.row_count - batch.unfinished
    is_later = batch.state is BatchState.RUNNING and not batch.is_moving
    word = "Scheduled" if is_later else batch.state.capitalize()
    so_far = f"{word}: {done} of {format_count(batch.row_count, 'text')} ended"
    if steps.pause:
        return f"{so_far}. {steps.pause} {steps.sender}".rstrip()
    if batch.state is BatchState.RUNNING:
        last = f", the last leaves at about {format_time_in(zone, batch.last_at)}" if batch.last_at else ""
        return f"{so_far}{last}.{_explain_wait(batch, zone)} {steps.sender}".rstrip()
    until = f" until {format_time_in(zone, batch.paused_at + RESUMABLE_FOR)}" if batch.paused_at else ""
    goes_on = " A server that starts in time continues it." if batch.is_interrupted else ""
    return f"{so_far}, the rest waits. {batch.pause_reason}{goes_on} {steps.resume} can resume it{until}."


def _explain_wait(batch: Batch, zone: tzinfo | None) -> str:
    if batch.waits_until is None:
        return ""
    return f" It waits for the daily budget until {format_time_in(zone, batch.waits_until)}."


async def list_unfinished(app: App) -> list[str]:
    """Return a line for each of the caller's latest batches that has not ended or cannot start."""
    if not app.storage.exists or not app.has_account:
        return []
    store = await app.storage.open()
    latest = await store.batches.list_latest(_MOST_BATCHES, app.caller.agent)
    return [
        *(
            f"Batch {each.id} is {each.state}: {each.unfinished} of {each.row_count} texts are left."
            for each in latest
            if each.state in {BatchState.RUNNING, BatchState.PAUSED, BatchState.WAITING}
        ),
        *(
            f"Batch {each.id} was approved and could not be started. {each.pause_reason}"
            for each in latest
            if each.state is BatchState.PLANNED and each.pause_reason
        ),
    ]


_MOST_BATCHES = 10
"""Batches that are looked at."""
