"""`elks-mcp call`, `calls` and `recording`: call a phone, list calls, save a recording."""

from pathlib import Path

import click

from elks_mcp.answers.call_lists import CallListAnswer, ListedCall, RecordingAnswer
from elks_mcp.answers.call_requests import (
    get_recording,
    list_calls,
    prepare_call,
    report_call_outcome,
)
from elks_mcp.answers.calls import CallAnswer
from elks_mcp.app import App
from elks_mcp.cli.exit_codes import ExitCode
from elks_mcp.cli.output import can_ask, list_facts, progress, show_person, wrap
from elks_mcp.cli.sending import ask, carry_out_or_decline, find_code, say_what_to_run
from elks_mcp.cli.session import Session, session_command
from elks_mcp.cli.sms import dry_run_option, key_option, yes_option
from elks_mcp.domain.calls import MOST_DIGITS, CallState
from elks_mcp.domain.display import visible
from elks_mcp.domain.wording import format_time_in
from elks_mcp.errors import InvalidInput
from elks_mcp.sending.outcomes import carry_out
from elks_mcp.sending.plan import Decision, NeedsApproval, Planned
from elks_mcp.sending.send_requests import CallRequest


@click.command()
@click.argument("to", metavar="NUMBER")
@click.argument("words", metavar="TEXT", default="")
@click.option("--prompt", default="", metavar="NAME", help="Play this recording of ELKS_PROMPTS_DIR instead.")
@click.option(
    "--ask", "digits", default=0, type=click.IntRange(0, MOST_DIGITS), help="How many digits to wait for."
)
@click.option("--from", "sender", default="", help="A number of the account. Default: ELKS_PHONE_NUMBER.")
@dry_run_option
@key_option
@yes_option
@session_command(sends="queue")
def call(
    session: Session, *, to: str, words: str, digits: int, dry_run: bool | None, yes: bool, **fields: str
) -> int:
    """Call a phone, have TEXT read aloud, and show what was pressed.

    NUMBER can also be the name of a contact. A pick-up does not show that anybody listened, because voicemail
    picks up, too: let TEXT ask for a key, and add --ask 1.

    In a terminal it shows the text and the most that the call may cost, and asks. While DRY_RUN is on, nobody
    is called.

    It waits for the end of the call. Exit code 0 if somebody picked up (with --ask: if keys were pressed), or
    in dry run. 1 if nobody picked up. 3 if no key was pressed, the call waits for approval, or it has not
    ended. 4 if the call may have been made, or its end is not known.
    """

    async def plan() -> Planned:
        app = session.app
        app.require_account(sender=not fields["sender"])
        request = CallRequest(
            to=to,
            call=await prepare_call(app, words, fields["prompt"], digits=digits, dry_run=dry_run),
            sender=fields["sender"],
            dry_run=dry_run,
            idempotency_key=fields["key"],
        )
        return await app.planner.plan(request, can_ask=can_ask())

    with progress("Preparing the call …"):
        planned = session.do(plan)
    if isinstance(planned, NeedsApproval) and not can_ask():
        say_what_to_run(session, planned)
        return ExitCode.WAITS
    decision = ask(session, planned, yes=yes)
    answer = carry_out_or_decline(session, planned, decision, make_call)
    session.print(answer, _describe(session, answer))
    return find_call_code(answer, digits)


def find_call_code(answer: CallAnswer, digits: int) -> ExitCode:
    """Return the exit code for the outcome of a request to call somebody.

    `digits`: how many were asked for.
    """
    match answer.call:
        case None:
            return ExitCode.FAILED if answer.status == "failed" else find_code(answer)
        case CallState.ANSWERED:
            return ExitCode.DONE if answer.untrusted_digits or not digits else ExitCode.WAITS
        case CallState.BUSY | CallState.FAILED:
            return ExitCode.FAILED
        case CallState.ONGOING:
            return ExitCode.WAITS
        case CallState.UNKNOWN:
            return ExitCode.UNKNOWN


async def make_call(app: App, planned: Planned, decision: Decision) -> CallAnswer:
    outcome = await carry_out(app.planner, planned, decision, app.settle_time)
    return await report_call_outcome(app, outcome, _ignore, until_it_ends=True)


async def _ignore(_seconds: float) -> None:
    """Report no progress: a terminal shows it by itself."""


def _describe(session: Session, answer: CallAnswer) -> list[str]:
    facts = {
        "to": f"{show_person(answer.to_name, answer.to, session.app.policy.home)} ({answer.country})",
        "pressed": f"| {answer.untrusted_digits}" if answer.untrusted_digits else "",
        "lasted": f"{answer.seconds} s" if answer.seconds is not None else "",
        "cost": str(answer.cost) if answer.cost else f"at most {answer.price}",
        "order": answer.order_id or "",
        "46elks id": answer.message_id or "",
    }
    notes = [row for each in answer.findings for row in wrap(f"Note: {each.in_words}")]
    notes += [row for each in answer.notes for row in wrap(each)]
    return [*wrap(answer.summary), *list_facts(facts), *notes]


@click.command()
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 100), help="How many calls.")
@session_command()
def calls(session: Session, *, limit: int) -> int:
    """List the latest calls of the account, the newest last.

    Keys that were pressed stand behind a bar.
    """
    answer = session.do(list_calls, session.app, limit)
    session.print(answer, _describe_list(session, answer))
    return ExitCode.DONE


def _describe_list(session: Session, answer: CallListAnswer) -> list[str]:
    rows = [row for each in reversed(answer.calls) for row in _describe_one(session, each)]
    rows = rows or ["The account has no calls."]
    for each in answer.unknown:
        rows += wrap(f"Unknown whether it was made: the call to {each.to}, order {each.order_id}. {each.why}")
    if answer.unread:
        rows += wrap(f"Rows of 46elks' history that cannot be read: {answer.unread}.")
    return rows


def _describe_one(session: Session, listed: ListedCall) -> list[str]:
    home, zone = session.app.policy.home, session.app.policy.time_zone
    when = format_time_in(zone, listed.created_at) if listed.created_at else "at an unknown time"
    sender = f"| {visible(listed.untrusted_from)}" if listed.untrusted_from else ""
    facts = {
        "from": sender or show_person(listed.from_name, listed.sender or "", home),
        "to": show_person(listed.to_name, listed.to, home),
        "pressed": f"| {listed.untrusted_digits}" if listed.untrusted_digits else "",
        "lasted": f"{listed.seconds} s" if listed.seconds is not None else "",
        "cost": str(listed.cost) if listed.cost else "",
        "recordings": ", ".join(listed.recordings),
        "order": listed.order_id or "",
    }
    return [f"{when}  {listed.state}  {listed.id}", *list_facts(facts)]


@click.command()
@click.argument("recording_id", metavar="ID")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@session_command()
def recording(session: Session, *, recording_id: str, file: Path) -> int:
    """Save a recording of a call as a WAV file. `elks-mcp calls` lists the ids.

    46elks keeps recordings for 72 hours. An existing file is not overwritten.
    """
    answer = session.do(_fetch, session.app, recording_id)
    try:
        with file.open("xb") as written:
            written.write(answer.sound)
    except OSError as error:
        raise InvalidInput(
            f"The file cannot be written: {error.strerror}.", hint="Name another file."
        ) from None
    session.print(answer, wrap(f"Saved: {file} ({answer.size} bytes)."))
    return ExitCode.DONE


async def _fetch(app: App, recording_id: str) -> RecordingAnswer:
    return await get_recording(app, recording_id, most=None)
