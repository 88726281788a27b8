"""How a terminal shows a batch: its progress, its rows, and the next commands."""

from collections.abc import Iterable

from elks_mcp.answers.batch_plans import PlanAnswer
from elks_mcp.answers.batch_results import BatchResult
from elks_mcp.answers.batch_steps import BatchSteps, find_pause
from elks_mcp.answers.batches import BatchAnswer, describe_batch
from elks_mcp.answers.schedule import describe_sending_server
from elks_mcp.app import App
from elks_mcp.cli.exit_codes import ExitCode
from elks_mcp.cli.output import list_facts, measure_columns, show_person, wrap
from elks_mcp.domain.batch_questions import choose_samples
from elks_mcp.domain.batches import Batch, BatchPlan, BatchRow, BatchState
from elks_mcp.domain.display import quote_lines, visible
from elks_mcp.domain.orders import OrderState
from elks_mcp.domain.wording import format_count
from elks_mcp.settings import Configuration, Settings
from elks_mcp.store import ServerKind


def name_start(settings: Settings, batch_id: str) -> str:
    """Return the command that starts a batch, in backticks."""
    return settings.name_command(f"batch start {batch_id}")


def list_commands(settings: Settings, batch: Batch, sender: str = "", pause: str = "") -> BatchSteps:
    """Return what a person at a terminal can do next with a batch.

    `sender` and `pause`: as in `BatchSteps`.
    """
    return BatchSteps(
        start=name_start(settings, batch.id),
        resume=settings.name_command(f"batch resume {batch.id}"),
        rest=settings.name_command(f"batch plan --rest-of {batch.id}"),
        approve=f"in a terminal: {settings.write_command(f'approve {batch.approval_code}')}",
        sender=sender,
        pause=pause,
    )


async def report_to_terminal(app: App, batch: Batch) -> BatchAnswer:
    """Return how far a batch is, with the commands that a person can use next."""
    sender, pause = await _explain_sender(app, batch), await find_pause(app, batch)
    steps = list_commands(app.configuration.settings, batch, sender, pause)
    return describe_batch(batch, steps, app.policy.time_zone)


def report_without_app(configuration: Configuration, batch: Batch) -> BatchAnswer:
    """Return how far a batch is that does not run, for a command that needs no credentials."""
    steps = list_commands(configuration.settings, batch)
    return describe_batch(batch, steps, configuration.policy.time_zone)


async def _explain_sender(app: App, batch: Batch) -> str:
    if batch.state is not BatchState.RUNNING:
        return ""
    if not batch.is_moving:
        return await describe_sending_server(app, "Each text")
    resume = app.configuration.settings.name_command(f"batch resume {batch.id}")
    sender = await (await app.storage.open()).heartbeats.find_sender()
    if sender is None:
        return f"No process sends the rest now. To send it from here: {resume}."
    if sender.is_silent:
        ago = f"{sender.last_seen.total_seconds():.0f} seconds ago"
        return (
            f"The process that sends the rest was last seen {ago}. If it was killed: {resume} sends the rest."
        )
    if sender.kind is ServerKind.CLIENT:
        return "A client or a terminal sends the rest. When it ends, the batch is paused."
    return "A running server sends the rest."


def describe_progress(answer: BatchAnswer, name: str) -> list[str]:
    """Return how far a batch is, in rows for a person. `name`: of the batch; "" if it has none."""
    counted = ", ".join(f"{number} {state.replace('_', ' ')}" for state, number in answer.counts.items())
    facts = {
        "batch": answer.batch_id,
        "name": visible(name),
        "texts": counted,
        "spent": f"{answer.spent} of {answer.total}" if counted else "",
    }
    failures = [
        row
        for why, number in answer.failures.items()
        for row in wrap(f"- {format_count(number, 'text')}: {visible(why)}", indent="  ")
    ]
    replies = wrap(answer.note)
    if answer.reply_count:
        from_whom = format_count(answer.replied or 0, "recipient")
        replies = wrap(f"Replies: {answer.reply_count}, from {from_whom}.")
    return [*wrap(answer.summary), *list_facts(facts), *failures, *filter(None, replies)]


def describe_plan(app: App, plan: BatchPlan, answer: PlanAnswer, *, all_texts: bool = False) -> list[str]:
    """Return the price of a plan, the rows left out, and texts, in rows for a person.

    `all_texts`: show the texts of all rows, and not only samples.
    """
    if not plan.rows:
        return [row for line in answer.describe_plan() for row in wrap(line, indent="  ")]
    shown = plan.rows if all_texts else choose_samples(plan)
    which = "The texts" if all_texts else f"{len(shown)} of the texts, the longest last"
    heading = f"{which}, behind a bar on each line:"
    rows = [row for line in (*answer.describe_plan(), heading) for row in wrap(line, indent="  ")]
    return [*rows, *(row for each in shown for row in _describe_text(app, each))]


def _describe_text(app: App, row: BatchRow) -> list[str]:
    name = app.contacts.known.find_name(row.to)
    to = show_person(name, row.to.e164, app.policy.home)
    head = f"Row {row.row}, to {to}, {format_count(row.parts, 'part')}:"
    return [*wrap(head, indent="  "), *quote_lines(row.text or "", measure_columns())]


def describe_rows(rows: Iterable[BatchResult], home: str) -> list[str]:
    """Return a line for each row of a batch. `home`: the ISO 3166 region of national numbers."""
    return [line for row in rows for line in wrap(_describe_row(row, home), indent="  ")]


def _describe_row(row: BatchResult, home: str) -> str:
    to = show_person(row.to_name, row.to, home) if row.to else "no number"
    facts = [f"row {row.row}", to, row.state]
    if row.cost:
        facts.append(f"{format_count(row.parts or 0, 'part')}, {row.cost}")
    return "  ".join([*facts, visible(row.reason)]).rstrip()


def find_batch_code(batch: Batch) -> ExitCode:
    """Return the exit code for how far a batch is."""
    if batch.counts.get(OrderState.UNKNOWN):
        return ExitCode.UNKNOWN
    if batch.is_moving or batch.state in _WAITING:
        return ExitCode.WAITS
    is_over = batch.not_sent or batch.state in {BatchState.CANCELLED, BatchState.EXPIRED}
    return ExitCode.FAILED if is_over else ExitCode.DONE


_WAITING = {BatchState.PLANNED, BatchState.WAITING, BatchState.PAUSED}
