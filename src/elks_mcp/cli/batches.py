"""`elks-mcp batch`: plan, start, follow and stop one text to many people.

`list`, `pause` and `cancel` work on the state alone, as those of `elks-mcp outbox` do.
"""

from datetime import tzinfo

import click

from elks_mcp.answers.batches import BatchAnswer
from elks_mcp.cli.arguments import shared_options
from elks_mcp.cli.batch_lookup import batch_id
from elks_mcp.cli.batch_output import describe_progress, report_without_app
from elks_mcp.cli.batch_plans import plan, show
from elks_mcp.cli.batch_results import results
from elks_mcp.cli.batch_sending import resume, start, status
from elks_mcp.cli.environment import with_settings
from elks_mcp.cli.exit_codes import ExitCode
from elks_mcp.cli.output import say
from elks_mcp.cli.session import print_json
from elks_mcp.cli.state import State
from elks_mcp.domain.batches import BatchState
from elks_mcp.domain.display import visible
from elks_mcp.domain.wording import format_count, format_time_in
from elks_mcp.settings import Configuration
from elks_mcp.store.batch_admin import BatchAdmin, BatchRecord

_json = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")


@click.group()
@shared_options
def batch() -> None:
    """Send one text to many people: plan, start, follow, stop.

    `plan` sends nothing: it prices the texts, and lists the rows that are left out. `start` asks you once,
    and sends them.
    """


for _command in (plan, show, start, resume, status, results):
    batch.add_command(_command)


@batch.command()
@batch_id
@_json
@with_settings()
def pause(configuration: Configuration, number: str, *, as_json: bool) -> int:
    """Pause a batch: the texts that have not left wait.

    A text that is being sent is finished. The batch can be resumed for 24 hours. Needs no credentials.

    Exit code 0 if it is paused, 1 if it was not running.
    """
    record = State(configuration).query(lambda database: BatchAdmin(database).pause(number))
    _print(configuration, record, as_json=as_json)
    return ExitCode.DONE if record.batch.state is BatchState.PAUSED else ExitCode.FAILED


@batch.command(short_help="Cancel the texts that have not left, permanently.")
@batch_id
@_json
@with_settings()
def cancel(configuration: Configuration, number: str, *, as_json: bool) -> int:
    """Cancel a batch permanently: the texts that have not left are never sent.

    A text that was sent cannot be recalled. Needs no credentials. Repeating the command changes nothing.

    Exit code 0 if it is cancelled, 1 if every text had ended before.
    """
    record = State(configuration).query(lambda database: BatchAdmin(database).cancel(number))
    _print(configuration, record, as_json=as_json)
    is_over = record.batch.state in {BatchState.CANCELLED, BatchState.EXPIRED}
    return ExitCode.DONE if is_over else ExitCode.FAILED


@batch.command("list")
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="The most batches to list."
)
@_json
@with_settings()
def list_batches(configuration: Configuration, limit: int, *, as_json: bool) -> int:
    """List the batches of all accounts, the latest first."""
    state = State(configuration)
    records = state.query(lambda database: BatchAdmin(database).list_latest(limit)) if state.exists else []
    if as_json:
        answers = [_report(configuration, each) for each in records]
        print_json([each.model_dump(mode="json", by_alias=True) for each in answers])
        return ExitCode.DONE
    for each in records:
        say(_describe_line(each, configuration.policy.time_zone))
    if not records:
        say("There are no batches." if state.exists else state.absence)
    return ExitCode.DONE


def _report(configuration: Configuration, record: BatchRecord) -> BatchAnswer:
    return report_without_app(configuration, record.batch).in_zone(configuration.policy.time_zone)


def _print(configuration: Configuration, record: BatchRecord, *, as_json: bool) -> None:
    answer = _report(configuration, record)
    if as_json:
        print_json(answer.model_dump(mode="json", by_alias=True))
    else:
        say("\n".join(describe_progress(answer, record.batch.name)))


def _describe_line(record: BatchRecord, zone: tzinfo | None) -> str:
    one = record.batch
    number = len(record.plan.rows) if record.plan else one.row_count
    size = f"{format_count(number, 'text')}, {one.total}, " if number else ""
    name = f"  {visible(one.name)}" if one.name else ""
    return f"{one.id}  {one.state:<9}  {size}planned {format_time_in(zone, one.planned_at)}{name}"
