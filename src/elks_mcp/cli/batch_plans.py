"""`elks-mcp batch plan` and `show`: price a batch before it is started, and look at it."""

from pathlib import Path
from typing import BinaryIO

import click

from elks_mcp.answers.batch_plans import PlanAnswer, report_plan
from elks_mcp.answers.batch_results import list_results
from elks_mcp.answers.outcomes import report_row_to_my_number
from elks_mcp.app import App
from elks_mcp.cli.batch_lookup import batch_id, find_batch
from elks_mcp.cli.batch_output import (
    describe_plan,
    describe_progress,
    describe_rows,
    name_start,
    report_to_terminal,
)
from elks_mcp.cli.exit_codes import ExitCode
from elks_mcp.cli.my_number import find_my_number
from elks_mcp.cli.output import can_ask, progress, wrap
from elks_mcp.cli.sending import ask
from elks_mcp.cli.session import Session, session_command
from elks_mcp.cli.sms import sender_option
from elks_mcp.domain.batches import Batch, BatchPlan, BatchState
from elks_mcp.errors import InvalidInput, NotApproved
from elks_mcp.sending.batch_plans import BatchRequest
from elks_mcp.sending.batch_sources import BatchSource, read_local_file, read_source
from elks_mcp.sending.plan import Decision
from elks_mcp.sending.row_to_my_number import RowToMyNumber, plan_row, send_row
from elks_mcp.spreadsheets.recipient_lists import RecipientList


@click.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--message", default="", metavar="TEXT", help="The text. {column} is filled in from the list.")
@click.option(
    "--message-file",
    type=click.File("rb"),
    help="Read the text from this file, or from standard input if it is -.",
)
@click.option("--group", default="", help="Text a group of your contacts, instead of FILE.")
@click.option("--rest-of", default="", metavar="B-…", help="Text the recipients who did not get that batch.")
@sender_option
@click.option("--at", "send_at", default="", metavar="TIME", help="Send time: 2026-12-01T09:00.")
@click.option(
    "--time-zone",
    default="",
    metavar="ZONE",
    help="The zone of TIME, such as Europe/Stockholm. Default: that of the recipients, else yours.",
)
@click.option("--name", default="", help="A name for the batch.")
@click.option(
    "--again", is_flag=True, help="Also text people who already got this text. You are asked first."
)
@click.option("--test-row", type=click.IntRange(1), help="Send the text of this row to your own number now.")
@session_command(sends="own")
def plan(
    session: Session,
    *,
    file: Path | None,
    message: str,
    message_file: BinaryIO | None,
    group: str,
    rest_of: str,
    again: bool,
    test_row: int | None,
    **fields: str,
) -> int:
    """Plan one text to the people in FILE. Nothing is sent to them.

    FILE is CSV or an Excel workbook (.xlsx). One column has phone numbers, or names of contacts. {column} in
    the text is filled in from the others; {column|default} has a default for an empty cell.

    The answer has the price, the rows that are left out with the reasons, and how to start the batch.
    --test-row sends one text, to you. A plan can be started for 24 hours.

    Exit code 0 if it is planned, 1 if no text can be sent.
    """
    if sum(map(bool, (file, group, rest_of))) != 1:
        raise click.UsageError("Give exactly one of FILE, --group and --rest-of.")
    text = _read_message(message, message_file)
    if test_row:
        find_my_number(session.app.configuration)
    source = BatchSource(group=group, rest_of=rest_of)
    recipients = session.do(_read_recipients, session.app, file, source)
    request = BatchRequest(message=text, recipients=recipients, again=again, **fields)
    with progress("Planning …"):
        planned = session.do(_plan, session.app, request, rest_of, test_row)
    tested = _send_row(session, planned)
    answer = session.do(_report, session.app, planned.plan, tested, recipients)
    after = [row for line in (*answer.notes, tested, answer.asks) if line for row in wrap(line)]
    session.print(answer, [*describe_plan(session.app, planned.plan, answer), *after])
    return ExitCode.DONE if planned.plan.rows else ExitCode.FAILED


@click.command(short_help="Show the recipients, samples and the price of a plan.")
@batch_id
@click.option("--texts", "all_texts", is_flag=True, help="Show the text of every row, and not only samples.")
@session_command()
def show(session: Session, *, number: str, all_texts: bool) -> int:
    """Show a plan: the recipients, samples, the rows that are left out, and the price.

    If the batch was started, its rows are shown, without their texts.
    """
    app, batch = session.do(find_batch, session.app, number)
    rows = describe_rows(session.do(list_results, app, batch).rows, app.policy.home)
    if batch.state not in {BatchState.PLANNED, BatchState.WAITING}:
        progress_answer = session.do(report_to_terminal, app, batch)
        session.print(progress_answer, [*rows, *describe_progress(progress_answer, batch.name)])
        return ExitCode.DONE
    plan, answer = session.do(_read_plan, app, batch)
    described = describe_plan(app, plan, answer, all_texts=all_texts)
    session.print(answer, [*rows, "", *described, *(row for line in answer.notes for row in wrap(line))])
    return ExitCode.DONE


def _read_message(message: str, file: BinaryIO | None) -> str:
    if bool(message) == bool(file):
        raise click.UsageError("Give either --message or --message-file.")
    if file is None:
        return message
    try:
        return file.read().decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise InvalidInput("The text is not UTF-8.", hint="Convert it to UTF-8.") from None


async def _read_recipients(app: App, file: Path | None, source: BatchSource) -> RecipientList:
    app.require_account()
    if file:
        return await read_local_file(app.batch_planner, app.contacts, file)
    if source.rest_of:
        owner, batch = await find_batch(app, source.rest_of)
        return await owner.batch_planner.list_rest(batch.id)
    return await read_source(app.batch_planner, app.contacts, source)


async def _plan(app: App, request: BatchRequest, rest_of: str, test_row: int | None) -> RowToMyNumber:
    owner = (await find_batch(app, rest_of))[0] if rest_of else app  # only their own orders cover rows
    plan = await owner.batch_planner.plan(request)
    folder = app.configuration.settings.personal_dir
    return await plan_row(app.batch_planner, plan, test_row, folder, can_ask=can_ask(), is_answer=False)


def _send_row(session: Session, planned: RowToMyNumber) -> str:
    """Send the text of the chosen row, and return the result; "" if no row was chosen."""
    decision = Decision.NOT_NEEDED
    if planned.planned:
        try:
            decision = ask(session, planned.planned, yes=False)
        except NotApproved as error:
            return f"Test: row {planned.row} was not sent. {error}"
    return session.do(_send, session.app, planned, decision)


async def _send(app: App, planned: RowToMyNumber, decision: Decision) -> str:
    sent = await send_row(app.batch_planner, planned, decision, app.settle_time)
    return await report_row_to_my_number(app, sent)


async def _report(app: App, plan: BatchPlan, test: str, recipients: RecipientList) -> PlanAnswer:
    start = name_start(app.configuration.settings, plan.id)
    answer = await report_plan(app, plan, can_ask=can_ask(), test=test, start=start)
    column = f"The phone numbers are from {recipients.column}." if recipients.column else ""
    notes = filter(None, (column, recipients.note, *answer.notes))
    return answer.model_copy(update={"notes": tuple(notes)})


async def _read_plan(app: App, batch: Batch) -> tuple[BatchPlan, PlanAnswer]:
    plan = await (await app.storage.open()).batches.get_plan(batch.id)
    start = name_start(app.configuration.settings, plan.id)
    return plan, await report_plan(app, plan, can_ask=can_ask(), start=start)
