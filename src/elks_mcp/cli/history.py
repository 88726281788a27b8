"""`elks-mcp history`, `inbox` and `conversation`: texts, and an inbox that stays open."""

from contextlib import suppress

import click

from elks_mcp.answers.history import OPT_OUT_PHRASES, HistoryAnswer, HistoryEntry
from elks_mcp.answers.listing import HowToContinue, TextQuery, read_filter, report_history
from elks_mcp.answers.people import People
from elks_mcp.cli.choices import Words
from elks_mcp.cli.exit_codes import ExitCode
from elks_mcp.cli.output import measure_columns, say, show_person, wrap
from elks_mcp.cli.session import Session, explain_sandbox, print_json, session_command
from elks_mcp.domain.display import quote_lines
from elks_mcp.domain.models import Direction
from elks_mcp.domain.toolsets import Toolset
from elks_mcp.errors import ElksError
from elks_mcp.runtime.clock import in_zone

continue_list: HowToContinue = "add --until {}".format
"""How a person continues a list."""

_FOLLOWED = 100
"""Texts that are read in each round of `--follow`. More new ones in a round would be left out."""


_limit = click.option(
    "--limit",
    default=10,
    show_default=True,
    type=click.IntRange(1, 100),
    help="How many texts.",
)
_since = click.option("--since", default="", help="Only texts from this day or time on: 2026-12-01T09:00.")
_until = click.option("--until", default="", help="Only texts up to this day, or before this time.")


@click.command()
@click.option(
    "--direction",
    default="both",
    show_default=True,
    type=Words(["both", "inbound", "outbound"]),
    help="inbound: received texts. outbound: sent ones.",
)
@_limit
@click.option("--with", "person", default="", help="Only the texts with this number or contact.")
@_since
@_until
@click.option("--follow", is_flag=True, help="Keep running, and show new texts. Ctrl-C ends it.")
@session_command()
def history(session: Session, *, limit: int, follow: bool, **query: str) -> int:
    """List the latest texts, sent and received, the newest last.

    Every row of a text begins with a bar. With --json, the newest text is first, and --follow prints one
    text a line.
    """
    wanted = TextQuery(**query)
    if not follow:
        return _list(session, wanted, limit)
    if wanted.since or wanted.until:
        raise click.UsageError("--follow shows only new texts, so it cannot be used with --since or --until.")
    with suppress(KeyboardInterrupt):
        session.do(_Follower(session, wanted).run, limit)
    return ExitCode.DONE


@click.command()
@_limit
@_since
@_until
@session_command()
def inbox(session: Session, *, limit: int, since: str, until: str) -> int:
    """List the latest received texts, the newest last."""
    return _list(session, TextQuery(direction="inbound", since=since, until=until), limit)


@click.command()
@click.argument("who", nargs=-1, required=True)
@_limit
@_since
@_until
@session_command()
def conversation(session: Session, *, who: tuple[str, ...], limit: int, since: str, until: str) -> int:
    """List the latest texts with one person, the newest last. WHO is a number or a contact."""
    return _list(session, TextQuery(person=" ".join(who), since=since, until=until), limit)


def _list(session: Session, query: TextQuery, limit: int) -> int:
    answer = session.do(_read, session, query, limit)
    texts = "\n\n".join("\n".join(describe_text(session, each)) for each in reversed(answer.messages))
    note = ["", *wrap(answer.note)] if answer.note else []
    session.print(answer, [texts or "There are no such texts.", *note])
    return ExitCode.DONE


async def _read(session: Session, query: TextQuery, limit: int) -> HistoryAnswer:
    app = session.app
    app.require_account()
    await app.contacts.read()  # for the names
    listing = await app.client.list_messages(limit, await read_filter(app, query))
    return await report_history(app, listing, continue_list)


def describe_text(session: Session, entry: HistoryEntry) -> list[str]:
    """Return one text in rows for a person: who and when, and the text behind bars."""
    text = (entry.text if entry.untrusted_text is None else entry.untrusted_text) or ""
    name = f"({entry.untrusted_from}) " if entry.untrusted_from else ""
    notes = _note_picture(session, entry) if entry.kind == "mms" else []
    if not text.strip() and not notes:
        notes = ["(the text is empty or not kept)"]
    rows = quote_lines(f"{name}{text}", measure_columns()) if name or text.strip() else []
    return [*wrap(_describe_head(session, entry), indent="  "), *notes, *rows]


def _note_picture(session: Session, entry: HistoryEntry) -> list[str]:
    """Return where the picture of an MMS is, in rows."""
    if Toolset.MMS not in session.app.policy.toolsets:
        return ["(a picture message, which is on 46elks.com)"]
    return [f"(a picture message, {entry.id})"]


def _describe_head(session: Session, entry: HistoryEntry) -> str:
    zone = session.app.policy.time_zone
    if entry.direction is Direction.INBOUND:
        who = f"from {_show_party(session, entry.sender) if entry.sender else 'a name'}"
        facts = ["reply"] if entry.is_reply else []
        facts += [OPT_OUT_PHRASES[entry.opt_out]] if entry.opt_out else []
    else:
        who = f"to {_show_party(session, entry.to)}"
        facts = [entry.status, *(["automatic reply"] if entry.is_reply else [])]
        facts += [str(entry.cost)] if entry.cost else []
    when = f"{in_zone(entry.created_at, zone):%Y-%m-%d %H:%M}" if entry.created_at else "at an unknown time"
    return f"{when}  {who}" + (f"  {', '.join(facts)}" if facts else "")


def _show_party(session: Session, number: str) -> str:
    """Return a number as people write it, after the name of the contact who has it."""
    name = People(session.app.contacts.known).find_name(number)
    return show_person(name, number, session.app.policy.home)


class _Follower:
    """Prints the texts of the account as they come."""

    def __init__(self, session: Session, query: TextQuery) -> None:
        self._session = session
        self._query = query
        self._statuses: dict[str, str] = {}
        """The status of each text that was read, by 46elks' id."""
        self._failure = ""

    async def run(self, limit: int) -> None:
        """Print the latest texts, at most `limit`, and then each new one, until it is cancelled."""
        app = self._session.app
        answer = await _read(self._session, self._query, _FOLLOWED)
        self._statuses = {each.id: each.status for each in answer.messages[limit:]}
        self._print_new(answer)
        if not self._session.as_json:
            say("Waiting for new texts. Ctrl-C ends it.", err=True)
        if app.policy.simulated:
            say("\n".join(wrap(explain_sandbox())), err=True)
        while True:
            await app.clock.sleep_until(app.clock.now() + app.replies.poll)
            await self._read_again()

    async def _read_again(self) -> None:
        try:
            answer = await _read(self._session, self._query, _FOLLOWED)
        except ElksError as error:
            if str(error) != self._failure:
                say(f"elks-mcp: {error} It is tried again.", err=True)
            self._failure = str(error)
        else:
            self._failure = ""
            self._print_new(answer)

    def _print_new(self, answer: HistoryAnswer) -> None:
        for entry in reversed(answer.messages):
            known = self._statuses.get(entry.id)
            self._statuses[entry.id] = entry.status
            if known is None:
                self._print(entry, with_text=True)
            elif known != entry.status:
                self._print(entry, with_text=False)

    def _print(self, entry: HistoryEntry, *, with_text: bool) -> None:
        """Print a text. `with_text`: False if only its status changed since it was printed."""
        session = self._session
        if session.as_json:
            in_zone_ = entry.in_zone(session.app.policy.time_zone)
            print_json(in_zone_.model_dump(mode="json", by_alias=True), indent=None)
            return
        head = wrap(_describe_head(session, entry), indent="  ")
        say("\n".join([*(describe_text(session, entry) if with_text else head), ""]))
