"""`elks-mcp send`, `estimate` and `status`: send a text, price it, follow it."""

import re
import sys

import click

from elks_mcp.answers.lookups import estimate as estimate_text
from elks_mcp.answers.lookups import find_status
from elks_mcp.answers.results import StatusAnswer
from elks_mcp.answers.schedule import ScheduledAnswer, ScheduledBatchEntry, ScheduledText, list_scheduled
from elks_mcp.cli.exit_codes import ExitCode
from elks_mcp.cli.my_number import find_my_number
from elks_mcp.cli.output import list_facts, measure_columns, show_person, wrap
from elks_mcp.cli.sending import describe_outcome, find_code, send_text
from elks_mcp.cli.session import Session, session_command
from elks_mcp.domain.display import quote_lines, visible
from elks_mcp.domain.wording import format_count, format_time_in
from elks_mcp.errors import InvalidInput
from elks_mcp.sending.send_requests import SmsRequest

sender_option = click.option(
    "--from",
    "sender",
    default="",
    help="The sender: a number of the account, or a name. Default: ELKS_PHONE_NUMBER.",
)
dry_run_option = click.option(
    "--dry-run/--no-dry-run",
    "dry_run",
    default=None,
    help="Only price it; or ask you and really send it, even if DRY_RUN is on. Default: DRY_RUN.",
)
key_option = click.option("--key", default="", help="A repeated command with the same key never sends twice.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask, unless a guard does.")
text_arguments = click.argument("words", nargs=-1, metavar="NUMBER TEXT")


@click.command()
@text_arguments
@click.option("--to-me", is_flag=True, help="Send it to your own number, instead of NUMBER.")
@sender_option
@click.option("--flash", is_flag=True, help="Show it immediately and do not store it (not on iPhones).")
@click.option("--at", "send_at", default="", metavar="TIME", help="Send time: 2026-12-01T09:00.")
@click.option(
    "--time-zone",
    default="",
    metavar="ZONE",
    help="The zone of TIME, such as Europe/Stockholm. Default: the recipient's if known, else yours.",
)
@dry_run_option
@key_option
@yes_option
@session_command(sends="queue")
def send(
    session: Session,
    *,
    words: tuple[str, ...],
    to_me: bool,
    flash: bool,
    dry_run: bool | None,
    key: str,
    yes: bool,
    **fields: str,
) -> int:
    """Send a text, now or later.

    NUMBER can also be the name of a contact.

    In a terminal it shows the text and its price, and asks. A question of a guard is asked in any case.
    Without a terminal, such a text waits until a person approves it. If TEXT is -, it is read from standard
    input. While DRY_RUN is on, nothing is sent, and the answer is the price.

    With --at, the text is scheduled: a server that runs at that time sends it.

    Exit code 0 if it is sent, scheduled or priced, 1 if it is refused, 3 if it waits, 4 if it may have been
    sent.
    """
    to, text = read_text(words, to_me=to_me)
    request = SmsRequest(
        to=find_my_number(session.app.configuration) if to_me else to,
        message=text,
        sender=fields["sender"],
        flash=flash,
        dry_run=dry_run,
        idempotency_key=key,
        send_at=fields["send_at"],
        time_zone=fields["time_zone"],
    )
    answer = send_text(session, request, yes=yes)
    if answer is None:
        return ExitCode.WAITS
    session.print(answer, describe_outcome(session, answer))
    return find_code(answer)


@click.command()
@text_arguments
@sender_option
@session_command()
def estimate(session: Session, *, words: tuple[str, ...], sender: str) -> int:
    """Price a text exactly, without sending it.

    NUMBER can also be the name of a contact. The answer names the characters that make the text expensive,
    and says if it would be refused.
    """
    to, text = read_text(words)
    answer = session.do(estimate_text, session.app, to, text, sender)
    session.print(answer, wrap(answer.in_words()))
    return ExitCode.DONE


@click.command()
@click.argument("text_id", metavar="ID")
@session_command()
def status(session: Session, *, text_id: str) -> int:
    """Show whether a text was delivered. ID is its order (O-…), or 46elks' id.

    Exit code 0 whatever the status is.
    """
    answer = session.do(find_status, session.app, text_id)
    session.print(answer, _describe_status(session, answer))
    return ExitCode.DONE


@click.command()
@session_command()
def scheduled(session: Session) -> int:
    """List the texts that go out later, the earliest first.

    Texts of the last 7 days that were not sent at their time follow, with the reason. The texts of agents
    that use tokens are not listed here, but by `elks-mcp outbox`.
    """
    answer = session.do(list_scheduled, session.app)
    session.print(answer, _describe_scheduled(session, answer))
    return ExitCode.DONE


def read_text(words: tuple[str, ...], *, to_me: bool = False) -> tuple[str, str]:
    """Return the number and the text of a command line.

    Raises:
        click.UsageError: something is missing, or the text is not in quotation marks.
    """
    names = ("TEXT",) if to_me else ("NUMBER", "TEXT")
    if len(words) < len(names):
        raise click.UsageError(f"Missing argument '{names[len(words)]}'.")
    if len(words) > len(names):
        *number, _ = words
        if not to_me and all(re.fullmatch(r"\+?[\d()/.-]+", word) for word in number):
            raise click.UsageError(
                f'The number must be one argument. Put it in quotation marks: "{" ".join(number)}".'
            )
        raise click.UsageError("The text must be one argument. Put it in quotation marks.")
    to, text = ("", *words) if to_me else words
    return to, _read_input() if text == "-" else text


def _read_input() -> str:
    """Return the text on standard input, without the line break at its end."""
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise InvalidInput("Standard input is not UTF-8.", hint="Convert the text to UTF-8.") from None


def _describe_status(session: Session, answer: StatusAnswer) -> list[str]:
    home, zone = session.app.policy.home, session.app.policy.time_zone
    facts = {
        "to": show_person(answer.to_name, answer.to, home),
        "from": show_person(answer.from_name, answer.sender or "", home),
        "from a name": f"| {visible(answer.untrusted_from)}" if answer.untrusted_from else "",
        "created": format_time_in(zone, answer.created_at) if answer.created_at else "",
        "scheduled": format_time_in(zone, answer.send_at) if answer.send_at else "",
        "delivered": format_time_in(zone, answer.delivered_at) if answer.delivered_at else "",
        "cost": str(answer.cost) if answer.cost else "",
        "parts": format_count(answer.parts, "part") if answer.parts and not answer.cost else "",
        "order": answer.order_id or "",
        "46elks id": answer.message_id or "",
    }
    return [*wrap(f"{answer.status.capitalize()}: {answer.meaning}"), *list_facts(facts)]


def _describe_scheduled(session: Session, answer: ScheduledAnswer) -> list[str]:
    home = session.app.policy.home
    rows = [row for each in answer.scheduled for row in _describe_one(each, home)]
    rows += [row for each in answer.batches for row in _describe_batch(each)]
    rows = [*rows, *wrap(answer.note)] if rows else ["No text is scheduled."]
    missed = [row for each in answer.not_sent for row in _describe_one(each, home)]
    missed += [row for each in answer.batches_not_sent for row in _describe_batch(each)]
    return [*rows, *(["Not sent as scheduled, in the last 7 days:", *missed] if missed else [])]


def _describe_batch(batch: ScheduledBatchEntry) -> list[str]:
    size = f"  {format_count(batch.texts, 'text')}"
    return [f"{batch.batch_id}  {batch.when}", size, *(wrap(batch.why, "  ", "  ") if batch.why else [])]


def _describe_one(text: ScheduledText, home: str) -> list[str]:
    """Return the rows about a scheduled text, whose first words have a bar in front."""
    to = f"  to {show_person(text.to_name, text.to, home)}"
    why = wrap(text.why, "  ", "  ") if text.why else []
    quoted = quote_lines(text.text, measure_columns()) if text.text else []
    return [f"{text.order_id}  {text.when}", to, *why, *quoted]
