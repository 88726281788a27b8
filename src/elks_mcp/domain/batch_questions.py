"""The question about a batch that a person approves or declines, and the summary of a plan."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from elks_mcp.domain.approval import name_guards, reasons_to_ask
from elks_mcp.domain.batches import BatchFinding, BatchPlan, BatchRow, find_last_slot
from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.display import lay_out, quote_lines, visible
from elks_mcp.domain.orders import Effect, Finding
from elks_mcp.domain.phone import Number, written
from elks_mcp.domain.policy import Policy
from elks_mcp.domain.send_times import NIGHT_BEGINS, NIGHT_ENDS, find_morning, format_send_time
from elks_mcp.domain.text import Encoding, expensive_characters, measure
from elks_mcp.domain.wording import format_count, format_duration

BATCH_COLUMNS = 40
"""Columns of a text in a client's form about a batch, which a person may read on a phone."""

_BARRED = "behind a bar on each line"
_MOST_REASONS = 8
_MOST_NAMED = 5
_MOST_RANGES = 6


def write_batch_question(
    plan: BatchPlan,
    reasons: Sequence[Finding],
    contacts: Contacts,
    duration: timedelta,
    zone: tzinfo | None,
    columns: int | None = None,
) -> str:
    """Return everything that a person needs to know to approve a batch.

    It is always the same for the same plan and reasons. It names the plan's digest, so that an answer is
    about these recipients and texts, and about no others.

    Args:
        plan: the plan.
        reasons: why a person is asked.
        contacts: the operator's contacts, by which recipients are named.
        duration: how long it takes to send all rows at the pace of the server.
        zone: the operator's time zone; None is the machine's.
        columns: the width of the terminal. Without it the question is for a client's form.
    """
    cost = f"{plan.total}, {format_count(plan.parts, 'part')}"
    size, sender = describe_size(plan), visible(written(plan.sender))
    name = f" ({visible(plan.name)})" if plan.name else ""
    samples = choose_samples(plan)
    about = [
        f"Cost: {cost}.",
        f"When: {describe_time(plan, duration, zone)}",
        f"To: {name_people(plan, contacts)}.",
        *_describe_left_out(plan),
        f"You are asked because of: {name_guards(tuple(reasons))}.",
        *(f"- {each.reason}" for each in reasons),
        *(f"- Note: {each}" for each in list_warnings(plan)),
        f"{len(samples)} of the texts, the longest last, {_BARRED}:",
    ]
    begin = [f"Send {size}{name} from {sender}?"] if columns else _begin_form(plan, sender, zone)
    shown = [line for row in samples for line in _show_row(row, contacts, columns or BATCH_COLUMNS)]
    last = [f"End of the texts. It is {size} for {cost}.", f"Batch {plan.id}, digest {plan.digest[:12]}."]
    return "\n".join([*lay_out([*begin, *about], columns), *shown, *lay_out(last, columns)])


def _begin_form(plan: BatchPlan, sender: str, zone: tzinfo | None) -> list[str]:
    """Return the first lines of a form. Claude Code shows three, so a text begins in them."""
    first = plan.rows[0]
    when = (
        format_send_time(plan.send_at, first.to, zone)
        if plan.send_at
        else "Now"
        if plan.at_night
        else f"Now (at night: {NIGHT_ENDS:02}:00)"
    )
    name = [f"Name: {visible(plan.name)}."] if plan.name else []
    return [
        f"Send {describe_size(plan)} from {sender} for {plan.total}?",
        f"{when}. Row {first.row} begins, {_BARRED}:",
        quote_lines(first.text or "", BATCH_COLUMNS)[0],
        *name,
    ]


def describe_size(plan: BatchPlan) -> str:
    """Return how many texts go to how many recipients: `28 texts to 27 recipients`."""
    return f"{format_count(len(plan.rows), 'text')} to {format_count(count_people(plan), 'recipient')}"


def describe_time(plan: BatchPlan, duration: timedelta, zone: tzinfo | None) -> str:
    """Return when the texts leave. The arguments are those of `write_batch_question`."""
    last = f"the last about {format_duration(duration)} later" if len(plan.rows) > 1 else ""
    if plan.send_at:
        when = format_send_time(plan.send_at, plan.rows[0].to, zone)
        return f"{when}{f', {last}' if last else ''}."
    return f"now{f', {last}' if last else ''}{'.' if plan.at_night else f'; {NIGHT_WAITS}'}"


NIGHT_WAITS = (
    f"a text that is due at night waits for {NIGHT_ENDS:02}:00 in its recipient's zone "
    f"(night: {NIGHT_BEGINS:02}–{NIGHT_ENDS:02})."
)


def name_people(plan: BatchPlan, contacts: Contacts) -> str:
    """Return the first recipients by name and number, and how many more there are."""
    people = list(dict.fromkeys(row.to for row in plan.rows))
    named = [_name(each, contacts) for each in people[:_MOST_NAMED]]
    more = len(people) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _name(number: Number, contacts: Contacts) -> str:
    name = contacts.find_name(number)
    return f"{name} ({number.e164})" if name else number.e164


def find_warnings(plan: BatchPlan) -> list[BatchFinding]:
    """Return what the guards warn of. At night the texts wait, unless the plan has a time."""
    warnings = [each for each in plan.findings if each.effect is Effect.WARN]
    return [each for each in warnings if each.guard != "night" or plan.send_at]


def list_warnings(plan: BatchPlan) -> list[str]:
    """List the warnings of the guards, each with its rows."""
    return [f"{format_rows(each.rows, len(plan.rows))}: {each.reason}" for each in find_warnings(plan)]


def _show_row(row: BatchRow, contacts: Contacts, columns: int) -> list[str]:
    return [f"{describe_row(row, contacts)}:", *quote_lines(row.text or "", columns)]


def describe_row(row: BatchRow, contacts: Contacts) -> str:
    """Return the number, the recipient and the parts of a row, in one line."""
    return visible(f"Row {row.row}, to {_name(row.to, contacts)}, {format_count(row.parts, 'part')}")


def count_people(plan: BatchPlan) -> int:
    """Return how many numbers get a text."""
    return len({row.to for row in plan.rows})


def _describe_left_out(plan: BatchPlan) -> list[str]:
    if not plan.left_out:
        return []
    rows = format_count(len(plan.left_out), "row")
    return [f"Left out: {rows}.", *(f"- {each}" for each in list_left_out(plan))]


def list_left_out(plan: BatchPlan) -> list[str]:
    """List why rows are left out, each reason with its rows; the rarest are counted together."""
    reasons = list(plan.count_left_out().items())
    lines = [f"{reason} ({format_rows(rows)})" for reason, rows in reasons[:_MOST_REASONS]]
    if len(reasons) > _MOST_REASONS:
        rows = sum(len(each) for _, each in reasons[_MOST_REASONS:])
        lines.append(f"other reasons ({format_count(rows, 'row')})")
    return lines


def format_rows(rows: Sequence[int], all_rows: int = 0) -> str:
    """Return the numbers of rows in short: `row 7`, `rows 1–3, 7`, `rows 1–3, 7, … (40 rows)`.

    `all_rows`: the number of rows that is "all rows".
    """
    if all_rows and len(rows) == all_rows > 1:
        return "all rows"
    ranges: list[list[int]] = []
    for row in sorted(rows):
        if ranges and row == ranges[-1][1] + 1:
            ranges[-1][1] = row
        else:
            ranges.append([row, row])
    shown = [f"{first}" if first == last else f"{first}–{last}" for first, last in ranges[:_MOST_RANGES]]
    more = f", … ({len(rows)} rows)" if len(ranges) > _MOST_RANGES else ""
    return f"row{'' if len(rows) == 1 else 's'} {', '.join(shown)}{more}"


def choose_samples(plan: BatchPlan) -> tuple[BatchRow, ...]:
    """Return the first, the middle and the last row, and then the one with the longest text."""
    rows, last = plan.rows, len(plan.rows) - 1
    longest = max(range(len(rows)), key=lambda at: (rows[at].parts, len(rows[at].text or "")))
    others = [at for at in dict.fromkeys((0, last // 2, last)) if at != longest]
    return tuple(rows[at] for at in (*others, longest))


@dataclass(frozen=True, slots=True)
class CostlyRows:
    """The rows with characters outside GSM-7, and the cost of these."""

    rows: tuple[int, ...]
    characters: tuple[str, ...]
    """The characters, the most frequent ones first."""

    parts: int
    """How many parts these rows would save without them."""


def find_costly_rows(plan: BatchPlan) -> CostlyRows:
    """Return the rows that are UCS-2, why, and what that costs."""
    rows, counts, saved = [], dict[str, int](), 0
    for row in plan.rows:
        text = row.text or ""
        if measure(text).encoding is Encoding.GSM7:
            continue
        rows.append(row.row)
        costly = expensive_characters(text)
        for each in costly:
            counts[each.char] = counts.get(each.char, 0) + 1
        saved += row.parts - measure(_without(text, [each.char for each in costly])).parts
    characters = sorted(counts, key=lambda char: -counts[char])
    return CostlyRows(tuple(rows), tuple(characters), max(0, saved))


def _without(text: str, characters: Iterable[str]) -> str:
    for char in characters:
        text = text.replace(char, "?")
    return text


@dataclass(frozen=True, slots=True)
class Timing:
    """When the rows of a plan leave, if it is started at a moment."""

    last_at: datetime
    deferred: int
    """How many rows wait for the end of the night."""


def find_timing(plan: BatchPlan, start: datetime, gap: timedelta, others: int = 0) -> Timing:
    """Return when the rows of a plan leave, at a pace of one text in each `gap`.

    `start`: when it is started. A plan with a send time goes out then, behind `others` of the same time.
    """
    first = max(plan.send_at or start, start)
    if plan.send_at or plan.at_night:
        return Timing(find_last_slot(first, others + len(plan.rows), gap), 0)
    slots = [find_last_slot(first, number, gap) for number in range(1, len(plan.rows) + 1)]
    mornings = [find_morning(row.to, slot) for row, slot in zip(plan.rows, slots, strict=True)]
    at = first
    for moment in sorted(morning or slot for morning, slot in zip(mornings, slots, strict=True)):
        at = max(at, moment) + gap
    return Timing(at - gap, sum(each is not None for each in mornings))


def list_reasons(policy: Policy, plan: BatchPlan, more: tuple[Finding, ...] = ()) -> tuple[Finding, ...]:
    """Return the reasons to ask a person about starting a plan.

    `more`: what was found since the plan was made.
    """
    asking = [
        Finding(guard=each.guard, effect=Effect.ASK, reason=_with_rows(each))
        for each in plan.findings
        if each.effect is Effect.ASK
    ]
    if len(plan.rows) > policy.ask_from:
        asking.append(Finding(guard="many", effect=Effect.ASK, reason=_MANY.format(len(plan.rows))))
    if plan.again:
        asking.append(Finding(guard="repeated", effect=Effect.ASK, reason=_AGAIN))
    return reasons_to_ask(policy, (*asking, *more), lifts_dry_run=False)


_MANY = "It is a batch of {} texts."
_AGAIN = "It includes rows that an earlier text covers."


def _with_rows(finding: BatchFinding) -> str:
    rows = format_count(len(finding.rows), "row")
    return f"{rows}: {finding.reason}" if len(finding.rows) > 1 else finding.reason
