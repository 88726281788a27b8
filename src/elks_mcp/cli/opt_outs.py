"""`elks-mcp opt-outs`: list opt-outs, and add, remove or import them."""

import csv
import re
from datetime import tzinfo
from pathlib import Path
from typing import NamedTuple

import click

from elks_mcp.cli.arguments import phone_argument, shared_options
from elks_mcp.cli.environment import with_settings
from elks_mcp.cli.output import say
from elks_mcp.cli.state import State
from elks_mcp.domain.phone import Number, parse_number
from elks_mcp.domain.wording import format_count, format_time_in
from elks_mcp.errors import InvalidInput
from elks_mcp.runtime.text_encoding import Undecodable, decode_text
from elks_mcp.settings import Configuration
from elks_mcp.store.opt_outs import OptOutRecord, OptOuts

_LONGEST_REASON = 200


@click.group("opt-outs", invoke_without_command=True)
@shared_options
@click.pass_context
def opt_outs(context: click.Context) -> None:
    """List opt-outs, and record them by hand.

    A number that opted out gets no texts from any account in this state directory or database. Without a
    command, lists the opt-outs.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_opt_outs)


@opt_outs.command("list")
@with_settings()
def list_opt_outs(configuration: Configuration) -> int:
    """List the numbers that opted out, and those whose opt-out was removed.

    Only the last digits of each number are shown.
    """
    state = State(configuration)
    if not state.exists:
        say(state.absence)
        return 0
    recorded = state.query(lambda database: OptOuts(database).list_all())
    for each in recorded:
        say(_line(each, configuration.settings.time_zone))
    if not recorded:
        say("No number has opted out.")
    return 0


_reason = click.option("--reason", default="", help="How you know, for example: 'she said so at the till'.")


@opt_outs.command("add")
@phone_argument
@_reason
@with_settings()
def add_opt_out(configuration: Configuration, phone: str, reason: str) -> int:
    """Record that a number opted out by other means than a text."""
    number, reason = parse_number(phone, configuration.policy.home), _read_reason(reason)
    added = State(configuration).query_or_create(lambda database: OptOuts(database).add([number], reason))
    if added:
        say(f"{number.e164} has opted out and gets no more texts.")
    else:
        say(f"{number.e164} had already opted out. Nothing was changed.")
    return 0


@opt_outs.command("remove")
@phone_argument
@click.option("--reason", required=True, help="Why the number may be texted again. The reason is recorded.")
@with_settings()
def remove_opt_out(configuration: Configuration, phone: str, reason: str) -> int:
    """Allow texts to a number again, if its opt-out was a mistake or was withdrawn.

    The latest text from the number then no longer counts as a possible opt-out either.
    """
    number, reason = parse_number(phone, configuration.policy.home), _read_reason(reason)
    if not reason:
        raise InvalidInput("The reason is empty.", hint="Say why the number may be texted again.")
    if not State(configuration).query(lambda database: OptOuts(database).remove(number, reason)):
        say(f"{number.e164} has not opted out. Nothing was changed.")
        return 1
    say(f"{number.e164} may be texted again. The reason is recorded.")
    return 0


@opt_outs.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_reason
@with_settings()
def import_opt_outs(configuration: Configuration, file: Path, reason: str) -> int:
    """Record all numbers in a file as opted out.

    The file has one number on each line, or is a CSV file with the numbers in the first column. Lines that
    cannot be used are listed by line number; all others are recorded. Exit code 1 if there is such a line.
    """
    reason = _read_reason(reason) or f"imported from {file.name}"[:_LONGEST_REASON]
    lines = _read_lines(file, configuration.policy.home)
    numbers = list(dict.fromkeys(each.number for each in lines if each.number))
    added = (
        State(configuration).query_or_create(lambda database: OptOuts(database).add(numbers, reason))
        if numbers
        else []
    )
    for each in lines:
        if each.fault:
            say(f"Line {each.at}: {each.fault}", err=not each.is_heading)
    known = len(numbers) - len(added)
    say(f"{format_count(len(added), 'number')} recorded as opted out; {known} had already opted out.")
    unused = [each for each in lines if each.fault and not each.is_heading]
    if unused:
        say(f"{format_count(len(unused), 'line')} could not be used. Correct them and import the file again.")
    return 1 if unused else 0


class _ImportedLine(NamedTuple):
    at: int
    number: Number | None = None
    fault: str = ""
    is_heading: bool = False


def _read_lines(path: Path, home: str) -> list[_ImportedLine]:
    """Return the number, or the fault, of each line of a file that is not blank.

    A first line whose first column has no digit is a heading.
    """
    rows = enumerate(re.split(r"\r\n|[\r\n]", _read_file(path)), 1)
    first, *rest = [(at, row) for at, row in rows if row.strip(" \t;,")] or [(0, "")]
    is_heading = not any(char.isdigit() for char in _first_column(first[1]))
    heading = _ImportedLine(first[0], fault="ignored as a heading.", is_heading=True)
    lines = [heading if is_heading else _read_line(*first, home)] if first[0] else []
    return [*lines, *(_read_line(at, row, home) for at, row in rest)]


def _read_line(at: int, row: str, home: str) -> _ImportedLine:
    try:
        return _ImportedLine(at, parse_number(_first_column(row), home))
    except InvalidInput as error:
        return _ImportedLine(at, fault=f"{error} {error.hint}".rstrip())


def _first_column(row: str) -> str:
    """Return the first column of a line, which a semicolon, a tab or a comma ends."""
    delimiter = next((each for each in ";\t," if each in row), ",")
    try:
        return next(iter(next(csv.reader([row], delimiter=delimiter), [])), "").strip()
    except csv.Error:  # the column is too long
        return ""


def _read_file(path: Path) -> str:
    """Return the text of a file: UTF-8, UTF-16 with a byte order mark, or else Windows-1252.

    Bytes that Windows-1252 does not define are replaced, since only the numbers are used: a name in another
    encoding must not keep an opt-out from being recorded.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.", hint="Name another file.") from None
    try:
        return decode_text(content)
    except Undecodable:
        if b"\0" in content:
            raise InvalidInput(f"{path} cannot be read: it is not UTF-8; save it as UTF-8.") from None
        return content.decode("cp1252", "replace")


def _read_reason(reason: str) -> str:
    reason = " ".join(reason.split())
    if len(reason) > _LONGEST_REASON:
        raise InvalidInput(f"The reason is longer than {_LONGEST_REASON} characters.", hint="Shorten it.")
    return reason


def _line(recorded: OptOutRecord, zone: tzinfo | None) -> str:
    number = recorded.masked or "(number not stored)"
    by = "by a person" if recorded.by_person else "by a text"
    what = "opted out" if recorded.opted_out else "may be texted again"
    why = f"  {recorded.reason}" if recorded.reason else ""
    return f"{number}  {what}, {by}, {format_time_in(zone, recorded.at)}{why}"
