"""Batches as a sandbox's page shows them: what a person decides about, and how far each is."""

from dataclasses import dataclass
from datetime import timedelta

from elks_mcp.domain.batch_questions import (
    choose_samples,
    describe_row,
    describe_size,
    describe_time,
    list_left_out,
    list_reasons,
    list_warnings,
    name_people,
)
from elks_mcp.domain.batches import Batch, BatchPlan, BatchState, find_last_slot
from elks_mcp.domain.cleaning import has_invisible
from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.display import visible
from elks_mcp.domain.orders import OrderState
from elks_mcp.domain.phone import written
from elks_mcp.domain.policy import Policy
from elks_mcp.domain.wording import format_count
from elks_mcp.sandbox.page_context import ShownBatch

_MOST_FAILURES = 5


@dataclass(frozen=True, slots=True)
class PageBatches:
    """Describes batches for the page.

    Attributes:
        policy: the operator's rules, which say why a person is asked.
        contacts: the operator's contacts, by which recipients are named.
        gap: the time between two texts at the pace of the server.
    """

    policy: Policy
    contacts: Contacts
    gap: timedelta

    def describe(self, batch: Batch, plan: BatchPlan | None) -> ShownBatch:
        """Return a batch for the page. `plan`: its plan, if it was not started."""
        if plan:
            return self._describe_plan(batch, plan)
        return ShownBatch(
            id=batch.id,
            code="",
            title=_name(format_count(batch.row_count, "text"), batch),
            state=batch.state,
            status=_describe_progress(batch),
            ended=batch.row_count - batch.unfinished,
            total=batch.row_count,
            reasons=_list_failures(batch),
            details={"Spent": f"{batch.spent} of {batch.total}", "Batch": batch.id},
        )

    def _describe_plan(self, batch: Batch, plan: BatchPlan) -> ShownBatch:
        """Return a batch that was not started."""
        waits = batch.state is BatchState.WAITING and not batch.is_approved
        asked = list_reasons(self.policy, plan) if waits else ()
        return ShownBatch(
            id=batch.id,
            code=batch.approval_code or "" if waits else "",
            title=_name(describe_size(plan), batch),
            state=batch.state,
            status="" if waits else _describe_start(batch, plan),
            reasons=(
                *(each.in_words for each in asked),
                *(f"Note: {each}" for each in list_warnings(plan)),
            ),
            details=self._list_facts(plan),
            left_out=tuple(list_left_out(plan)),
            samples=self._list_samples(plan),
        )

    def _list_samples(self, plan: BatchPlan) -> tuple[tuple[str, str], ...]:
        rows = choose_samples(plan) if plan.rows else ()
        return tuple((describe_row(row, self.contacts), row.text or "") for row in rows)

    def _list_facts(self, plan: BatchPlan) -> dict[str, str]:
        if not plan.rows:
            return {"Batch": plan.id}
        start = plan.send_at or plan.planned_at
        duration = find_last_slot(start, len(plan.rows), self.gap) - start
        hidden = any(has_invisible(text) for _, text in self._list_samples(plan))
        return {
            "To": name_people(plan, self.contacts),
            "From": written(plan.sender),
            "Cost": f"{plan.total}, {format_count(plan.parts, 'part')}",
            "When": describe_time(plan, duration, self.policy.time_zone),
            **({"Contains": "invisible characters"} if hidden else {}),
            "Batch": plan.id,
        }


def _name(size: str, batch: Batch) -> str:
    return f"{size}: {visible(batch.name)}" if batch.name else size


def _describe_start(batch: Batch, plan: BatchPlan) -> str:
    if not plan.rows:
        return "Planned. It has no text that can be sent."
    if batch.is_approved:
        return "Approved. It is started now."
    if batch.pause_reason:
        return f"It was not started. {batch.pause_reason}"
    return "Planned. Nothing was sent."


def _describe_progress(batch: Batch) -> str:
    """Return the state of a batch, how many texts were sent, and the outcome of the others."""
    counts = batch.counts
    others = {
        "failed": counts.get(OrderState.FAILED, 0),
        "not sent": batch.not_sent,
        "in doubt": counts.get(OrderState.IN_DOUBT, 0),
        "unknown": counts.get(OrderState.UNKNOWN, 0),
        "scheduled": counts.get(OrderState.SCHEDULED, 0),
    }
    sent = counts.get(OrderState.SENT, 0) + counts.get(OrderState.DELIVERED, 0)
    parts = [
        f"{sent} of {batch.row_count} sent",
        *(f"{count} {what}" for what, count in others.items() if count),
    ]
    why = f" {batch.pause_reason}" if batch.state is BatchState.PAUSED else ""
    return f"{batch.state.capitalize()}: {', '.join(parts)}.{why}"


def _list_failures(batch: Batch) -> tuple[str, ...]:
    """List why texts were not sent or failed, the most frequent reasons first."""
    reasons = list(batch.failures.items())[:_MOST_FAILURES]
    return tuple(
        f"{format_count(count, 'text')}: {reason or 'No reason is known.'}" for reason, count in reasons
    )
