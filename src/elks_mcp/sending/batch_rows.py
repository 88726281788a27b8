"""The rows of a batch on their way from the list to the plan."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from elks_mcp.domain.batch_questions import format_rows
from elks_mcp.domain.batches import (
    ALREADY_SENT,
    REPEATS_ABOVE,
    BatchFinding,
    BatchPlan,
    BatchRow,
    LeftOut,
    generalize_reason,
)
from elks_mcp.domain.contacts import shorten
from elks_mcp.domain.merge_fields import Template, parse_template
from elks_mcp.domain.orders import NEVER_SENT, Draft, Effect, Estimate, Finding, Order, OrderState
from elks_mcp.errors import InvalidInput
from elks_mcp.spreadsheets.recipient_lists import RecipientEntry

_MOST_COLUMNS = 10
"""Columns that an error names."""


def read_template(message: str, fields: Sequence[str]) -> Template:
    """Return the template of a message for a list with these fields.

    Raises:
        InvalidInput: it is not one, or the list lacks a field of it.
    """
    template = parse_template(message)
    if unknown := template.list_unknown(fields):
        columns = ", ".join(map(shorten, fields[:_MOST_COLUMNS])) or "none"
        more = ", …" if len(fields) > _MOST_COLUMNS else ""
        raise InvalidInput(
            f"The list has no column {shorten(unknown[0])!r}. Its columns: {columns}{more}.",
            hint="Use the name of a column, or two braces for a literal brace.",
        )
    return template


@dataclass(frozen=True, slots=True)
class FilledRow:
    """A row of the list that has a number and a text."""

    row: int
    draft: Draft
    fields: Mapping[str, str]

    def leave_out(self, reason: str) -> LeftOut:
        """Return the row as one that gets no text."""
        return LeftOut(row=self.row, to=self.draft.to, reason=reason, fields=self.fields)


@dataclass(slots=True)
class CheckedRows:
    """The rows that are sent and those that are left out, and what the guards found."""

    rows: list[BatchRow] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    _found: dict[tuple[str, Effect], BatchFinding] = field(default_factory=dict)

    @property
    def findings(self) -> list[BatchFinding]:
        """The findings that do not refuse a row, each once."""
        return list(self._found.values())

    def add(self, row: FilledRow, estimate: Estimate, findings: Iterable[Finding]) -> bool:
        """Add a row that was checked; return whether it is sent."""
        listed = [_reword(each, row.draft) for each in findings if each.guard not in _FOR_ALL]
        refusing = [each for each in listed if each.effect is Effect.REFUSE]
        if refusing:
            why = " ".join(f"Refused by {each.guard}: {each.reason}" for each in refusing)
            self.left_out.append(row.leave_out(why))
            return False
        for each in listed:
            key = each.guard, each.effect
            known = self._found.get(key) or BatchFinding(
                guard=each.guard, effect=each.effect, reason=each.reason, rows=()
            )
            self._found[key] = known.model_copy(update={"rows": (*known.rows, row.row)})
        parts = estimate.parts or row.draft.payload.parts
        self.rows.append(
            BatchRow(
                row=row.row,
                to=row.draft.to,
                text=row.draft.text,
                parts=parts,
                price=estimate.price,
                fields=row.fields,
            )
        )
        return True


_FOR_ALL = frozenset({"daily_budget", "repeated"})
"""Guards that are judged for the batch, not for a row."""


_MORNING = "It is night for the recipient, so the text waits until 08:00 there. To send it now, name a time."


def _reword(finding: Finding, draft: Draft) -> Finding:
    """Return a finding that names no number, so that equal reasons of many rows are one.

    At night, the row of a batch without a send time waits for the morning.
    """
    waits = finding.guard == "night" and draft.send_at is None
    reason = _MORNING if waits else generalize_reason(finding.reason, draft.to)
    return finding.model_copy(update={"reason": reason, "quote": ""})


def list_new_reasons(plan: BatchPlan, found: Iterable[tuple[BatchRow, Finding]]) -> tuple[Finding, ...]:
    """Return the reasons to ask a person that the plan does not have, one for each guard.

    `found`: the present findings, with their rows.
    """
    asked = {(each.guard, row) for each in plan.findings if each.effect is Effect.ASK for row in each.rows}
    reasons: dict[str, str] = {}
    rows: dict[str, list[int]] = {}
    for row, each in found:
        if each.effect is Effect.ASK and (each.guard, row.row) not in asked:
            reasons.setdefault(each.guard, generalize_reason(each.reason, row.to))
            rows.setdefault(each.guard, []).append(row.row)
    return tuple(
        Finding(
            guard=guard,
            effect=Effect.ASK,
            reason=f"{format_rows(rows[guard], len(plan.rows)).capitalize()}: {reason}",
        )
        for guard, reason in reasons.items()
    )


def list_rest(plan: BatchPlan, orders: Mapping[int, Order]) -> list[RecipientEntry]:
    """Return the recipients whose texts were not sent, and will not be, by their rows.

    `orders`: the orders of the rows. A recipient whose text may have been sent is left out.
    """
    rest = [
        RecipientEntry(row.row, row.to, fields=row.fields)
        for row in plan.rows
        if _may_get_it(orders.get(row.row))
    ]
    rest += [
        RecipientEntry(each.row, each.to, fault="" if each.to else each.reason, fields=each.fields)
        for each in plan.left_out
        if not each.reason.startswith((REPEATS_ABOVE, ALREADY_SENT))
    ]
    return sorted(rest, key=lambda entry: entry.row)


def _may_get_it(order: Order | None) -> bool:
    """Return whether the text of a row was certainly not sent, and will not be."""
    if order is None or order.status_reason.startswith(ALREADY_SENT):
        return False
    return order.state in {*NEVER_SENT, OrderState.FAILED}
