"""`elks-mcp batch start`, `resume` and `status`: send a batch in a terminal, and follow it.

The command that starts a batch stays until its texts have left, and sends them. If it ends before, a server
sends the rest; without one, the batch is paused.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import click

from elks_mcp.answers.batch_plans import PlanAnswer, report_plan
from elks_mcp.answers.batches import add_replies, report_dry_run
from elks_mcp.answers.listing import report_list
from elks_mcp.answers.text_list import TextListAnswer
from elks_mcp.app import App
from elks_mcp.cli.batch_lookup import batch_id, find_batch
from elks_mcp.cli.batch_output import (
    describe_plan,
    describe_progress,
    find_batch_code,
    name_start,
    report_to_terminal,
)
from elks_mcp.cli.exit_codes import ExitCode
from elks_mcp.cli.output import can_ask, measure_columns, progress, say, show_progress, wrap
from elks_mcp.cli.sending import DECLINED, NO_TERMINAL, confirm_or_decline, print_waiting
from elks_mcp.cli.session import Session, session_command
from elks_mcp.cli.sms import yes_option
from elks_mcp.domain.batch_questions import write_batch_question
from elks_mcp.domain.batches import COMMAND_ENDED, Batch, BatchPlan
from elks_mcp.domain.models import Listing
from elks_mcp.domain.orders import Approver
from elks_mcp.domain.wording import format_count
from elks_mcp.errors import NotApproved
from elks_mcp.sending.batches import BatchDryRun, BatchNeedsApproval, BatchPrepared, BatchReady, BatchRepeated
from elks_mcp.sending.plan import Decision

_AS_LONG_AS_IT_TAKES = timedelta(days=365)
_INTERRUPTED = "You interrupted it. The batch may have been started. To see that:"
_HOW_IT_ENDS = (
    "This command sends the texts, and ends when they have left. If you end it earlier (Ctrl-C), a running "
    "server sends the rest; if there is none, the batch is paused."
)


@click.command()
@batch_id
@yes_option
@session_command(sends="queue")
def start(session: Session, *, number: str, yes: bool) -> int:
    """Send a planned batch, and run until its texts have left.

    In a terminal it shows the batch and its price, and asks once about the whole batch. Questions of guards
    are always asked. Without a terminal, such a batch waits until a person approves it. While DRY_RUN is on,
    nothing is sent, and the answer is the price. Repeating the command sends nothing twice.

    This command sends the texts. If it ends earlier, a running server sends the rest; if there is none, the
    batch is paused. Texts for later, or for the morning, are left to a server.

    Exit code 0 if all texts are sent, scheduled or priced, 1 if one was refused or not sent, 3 if the batch
    waits or is paused, 4 if a text may have been sent.
    """
    app, batch = session.do(find_batch, session.app, number)
    prepared = session.do(_prepare, app, batch)
    match prepared:
        case BatchDryRun(plan):
            answer = session.do(report_dry_run, app, plan)
            session.print(answer, wrap(answer.summary))
            return ExitCode.DONE
        case BatchRepeated(started):
            batch = started
        case BatchNeedsApproval() if not can_ask():
            return _let_wait(session, app, prepared)
        case _:
            decision = _ask(session, app, prepared, yes=yes)
            batch = _start(session, app, prepared, decision)
    return _send(session, app, batch)


@click.command()
@batch_id
@session_command(sends="queue")
def resume(session: Session, *, number: str) -> int:
    """Resume a paused batch, and run until its texts have left.

    This also continues a batch whose server was killed. No question is asked: the texts were approved. See
    `start` for the rest, and the exit codes.
    """
    app, batch = session.do(find_batch, session.app, number)
    return _send(session, app, session.do(app.batches.resume, batch.id))


@click.command()
@batch_id
@click.option("--follow", is_flag=True, help="Keep running until the texts have left. Ctrl-C ends it.")
@session_command()
def status(session: Session, *, number: str, follow: bool) -> int:
    """Show the progress of a batch: counts, failures, and how many replied.

    This command sends nothing, even with --follow.

    Exit code 0 whatever the status is; with --follow, as `start`.
    """
    app, batch = session.do(find_batch, session.app, number)
    if follow and batch.is_moving:
        say("\n".join(wrap(session.do(report_to_terminal, app, batch).summary)), err=True)
        try:
            batch = _follow(session, app, batch)
        except KeyboardInterrupt:
            batch = session.do(app.batches.get, batch.id)
    answer = session.do(report_to_terminal, app, batch)
    answer = session.do(add_replies, app, batch, answer, _show)
    session.print(answer, describe_progress(answer, batch.name))
    return find_batch_code(batch) if follow else ExitCode.DONE


async def _prepare(app: App, batch: Batch) -> BatchPrepared:
    await app.contacts.read_leniently()  # for the names in the question
    return await app.batches.prepare(batch.id, can_ask=can_ask())


async def _report_plan(app: App, plan: BatchPlan) -> PlanAnswer:
    return await report_plan(app, plan, can_ask=True)


async def _show(app: App, listing: Listing) -> TextListAnswer:
    """Return replies for a person, who is not a model that strangers' texts could mislead."""
    return (await report_list(app, listing)).answer


def _ask(session: Session, app: App, prepared: BatchNeedsApproval | BatchReady, *, yes: bool) -> Decision:
    """Ask the person what has to be asked.

    Raises:
        NotApproved: the person declined.
    """
    plan = prepared.plan
    if isinstance(prepared, BatchNeedsApproval):
        contacts, duration = app.contacts.known, plan.find_duration(app.outbox.pace.gap)
        zone, columns = app.policy.time_zone, measure_columns()
        say(write_batch_question(plan, prepared.reasons, contacts, duration, zone, columns), err=True)
        if confirm_or_decline("\nSend them all?"):
            return Decision.APPROVED
        raise NotApproved(DECLINED)
    if prepared.approver is Approver.POLICY and can_ask() and not yes:
        answer = session.do(_report_plan, app, plan)
        say("\n".join(describe_plan(app, plan, answer)), err=True)
        if not confirm_or_decline("\nSend them all?"):
            raise NotApproved(DECLINED)
    return Decision.NOT_NEEDED


def _start(
    session: Session, app: App, prepared: BatchNeedsApproval | BatchReady, decision: Decision
) -> Batch:
    try:
        with progress("Starting …"):
            return session.do(app.batches.start, prepared, decision)
    except KeyboardInterrupt:  # it cannot be called back
        say(f"elks-mcp: {_INTERRUPTED} {app.command(f'batch status {prepared.plan.id}')}", err=True)
        raise click.exceptions.Exit(ExitCode.UNKNOWN) from None


def _let_wait(session: Session, app: App, needed: BatchNeedsApproval) -> int:
    """Let a batch wait for a person, since there is no terminal, and print how to approve it."""
    waiting = session.do(app.batches.wait_for_person, needed)
    message = app.batches.explain_waiting(needed, waiting, NO_TERMINAL)
    start = name_start(app.configuration.settings, waiting.id)
    hint = f"A running server then starts it. Without one, run {start} again."
    print_waiting(session, waiting.approval_code, {"batchId": waiting.id}, message, hint)
    return ExitCode.WAITS


def _send(session: Session, app: App, batch: Batch) -> int:
    """Send the texts of a started batch until all have left; print how far it is then."""
    if batch.is_moving and app.policy.live:
        say("\n".join(wrap(_HOW_IT_ENDS)), err=True)
        app.outbox.wake(sends_batch=True)
        try:
            with _ending_as_by_ctrl_c():
                batch = _follow(session, app, batch)
        except KeyboardInterrupt:
            batch = session.do(_leave, app, batch)
    answer = session.do(report_to_terminal, app, batch)
    session.print(answer, describe_progress(answer, batch.name))
    return find_batch_code(batch)


async def _leave(app: App, batch: Batch) -> Batch:
    """Leave the rest of a batch to another process, or pause it if there is none."""
    await app.outbox.heartbeat.end(COMMAND_ENDED)
    return await app.batches.get(batch.id)


def _follow(session: Session, app: App, batch: Batch) -> Batch:
    """Show how far a batch is until no text is under way, and return it then."""

    async def report(now: Batch) -> None:
        done = now.row_count - now.unfinished
        show_progress(f"{done} of {format_count(now.row_count, 'text')} ended …")

    with progress("Sending …"):
        followed: Batch = session.do(app.batches.follow, batch.id, _AS_LONG_AS_IT_TAKES, report)
    return followed


@contextmanager
def _ending_as_by_ctrl_c() -> Iterator[None]:
    """Let a closed terminal, and a request to end the process, do what Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    signals = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    heeded = [each for each in signals if signal.getsignal(each) is not signal.SIG_IGN]  # as with nohup
    before = {each: signal.signal(each, signal.default_int_handler) for each in heeded}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
