"""`elks-mcp doctor`: is everything as it must be, and if not, what to do."""

import json
import platform
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import click
from pydantic import SecretStr

from elks_mcp.app import App
from elks_mcp.cli.doctor_accounts import examine_accounts
from elks_mcp.cli.doctor_settings import Check, compare_numbers, find_obstacle, list_faults, list_slips
from elks_mcp.cli.output import counted, say, show_account, show_username
from elks_mcp.cli.read_only import open_read_only
from elks_mcp.cli.state import State
from elks_mcp.domain.doubts import explain_short_quiet_period
from elks_mcp.domain.models import UNFINISHED, Draft, OrderState
from elks_mcp.domain.money import Money
from elks_mcp.domain.phone import Number, Sender, SenderId
from elks_mcp.domain.policy import largest_price
from elks_mcp.errors import ElksError, Misconfigured
from elks_mcp.settings import NAMES, Configuration, explain_mistake
from elks_mcp.store.admin import OrderAdmin
from elks_mcp.store.db.transactions import Database
from elks_mcp.store.storage import check_folder

_TEST_NUMBER = Number("+46700000000")
"""46elks' own: it takes texts, and nobody gets them."""

_HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "elks-mcp doctor", "version": "1"},
    },
}


def run(configuration: Configuration) -> int:
    """Print what was found; 0 if nothing is wrong, 1 if something is."""
    click.echo(f"elks-mcp {version('elks-mcp')}, Python {platform.python_version()}, mcp {version('mcp')}")
    return anyio.run(_examine, configuration)


async def _examine(configuration: Configuration) -> int:
    marks = set()
    async with aclosing(_checks(configuration)) as checks:
        async for check in checks:
            marks.add(check.mark)
            say(f"{check.mark:>4}  {check.text}")
    click.echo(next(verdict for mark, verdict in _VERDICTS.items() if mark in marks))
    return int("fail" in marks)


_VERDICTS = {
    "fail": "Something is wrong: see fail above.",
    "warn": "Nothing failed, but something may be wrong: see warn above.",
    "ok": "Nothing is wrong.",
}


async def _checks(configuration: Configuration) -> AsyncGenerator[Check]:
    """Look at one thing after another. What cannot be read costs only the checks that need it."""
    for look in (list_faults, _names, list_slips, _values, _files):
        for check in look(configuration):
            yield check
    for check in await _state(configuration):
        yield check
    async with _open(configuration) as app:
        yield _mode(app)
        for check in await _provider(app):
            yield check
    yield await anyio.to_thread.run_sync(_standard_output)


_SAY_WHERE_STATE_IS = ("ELKS_STATE_DIR", "ELKS_DATABASE_URL", "ELKS_SECRET_KEY", "ELKS_SANDBOX")
_SAY_WHO_IS_ASKED = ("ELKS_API_USERNAME", "ELKS_API_PASSWORD", "ELKS_API_BASE_URL", "ELKS_SANDBOX")


@asynccontextmanager
async def _open(configuration: Configuration) -> AsyncIterator[App]:
    """Open what a server would open, except the state if it is not known which one is meant."""
    with TemporaryDirectory() as folder:
        if configuration.lacks(*_SAY_WHERE_STATE_IS):
            nowhere = {"state_dir": Path(folder), "database_url": None, "secret_key": None}
            settings = configuration.settings.model_copy(update=nowhere)
            configuration = replace(configuration, settings=settings)
        async with open_read_only(configuration) as app:
            yield app


def _names(configuration: Configuration) -> list[Check]:
    checks = []
    for wrong, right in configuration.mistaken.items():
        checks.append(Check("fail", f"{explain_mistake(wrong, right)} Until then nothing is really sent."))
    checks += [
        Check("note", f"{name} is set, and is no setting of this server.") for name in configuration.unknown
    ]
    return checks


def _values(configuration: Configuration) -> list[Check]:
    """List what is set, and where it came from; secrets and numbers masked."""
    checks = []
    for variable, name in NAMES.items():
        if origin := configuration.origins.get(name):
            value = _masked(variable, getattr(configuration.settings, name))
            checks.append(
                Check("ok", f"{variable} = {value}" + (f" (from {origin})" if origin != variable else ""))
            )
    return checks


def _files(configuration: Configuration) -> list[Check]:
    """Name the files with secrets that everybody on this machine may read; they may be meant to be so."""
    return [
        Check(
            "warn", f"{name} names a file that every user of this machine may read. To close it: `chmod 600`."
        )
        for name in configuration.exposed
    ]


def _masked(variable: str, value: object) -> str:
    if isinstance(value, SecretStr):
        return "set"
    if variable == "ELKS_API_USERNAME":
        return show_username(str(value))
    if variable in {"ELKS_BUDGET_PER_MESSAGE", "ELKS_BUDGET_PER_DAY"} and isinstance(value, int):
        return str(Money(value))
    if isinstance(value, frozenset | tuple):
        return ", ".join(sorted(_masked("", item) for item in value))
    if isinstance(value, Number):
        return value.masked
    return value.name if isinstance(value, SenderId) else str(value)


async def _state(configuration: Configuration) -> list[Check]:
    """Say where state is and what is open there."""
    if configuration.lacks(*_SAY_WHERE_STATE_IS):
        return [Check("note", "The state was not looked at: where it is cannot be read.")]
    state, settings = State(configuration), configuration.settings
    weak = explain_short_quiet_period(settings.quiet_period, settings.timeout)
    checks = [Check("note", f"{weak}.")] if weak else []
    if obstacle := find_obstacle(state.place.folder):
        return [*checks, Check("fail", f"State cannot be kept in {state.whereabouts}: {obstacle}")]
    try:
        if state.place.folder:
            check_folder(state.place.folder)
        if not state.exists:
            when = (
                "forgotten when the server ends" if state.place.folder is None else "made when it is needed"
            )
            return [*checks, Check("ok", f"State is in {state.whereabouts}; it is {when}.")]
        checks += await state.ask_soon(partial(_look_into, state.whereabouts))
        accounts = await state.ask_soon(partial(examine_accounts, settings.account))
        return [*checks, *(Check("note", each) for each in accounts)]
    except ElksError as error:
        return [*checks, Check("fail", f"State is in {state.whereabouts}. {error.explain()}")]


async def _look_into(whereabouts: str, database: Database) -> list[Check]:
    admin = OrderAdmin(database)
    counts, pauses = await admin.count(), await admin.list_pauses()
    unfinished = sum(number for state, number in counts.items() if state in UNFINISHED)
    what = f"{await admin.describe()}; {counted(unfinished, 'order')} unfinished"
    checks = [Check("ok", f"State is in {whereabouts} ({what}).")]
    if unknown := counts.get(OrderState.UNKNOWN):
        checks.append(
            Check(
                "note",
                f"Orders of which a person has to say what became: {unknown}. "
                "To list them: `elks-mcp outbox`.",
            )
        )
    return checks + [
        Check("note", f"Sending is paused ({pause.reason}) for {show_account(pause.owner)}.")
        for pause in pauses
    ]


def _mode(app: App) -> Check:
    """Say in a line what can be sent, to whom, and who is asked."""
    if app.configuration.faults:
        return Check("fail", "Every call of a client fails until what cannot be read is corrected.")
    policy = app.policy
    countries = ", ".join(sorted(policy.allowed_countries))
    rules = [
        _fate(app),
        f"to {len(policy.allowed_recipients)} numbers" if policy.allowed_recipients else f"to {countries}",
        f"{policy.max_parts} parts at most",
        f"ELKS_CONFIRM is {policy.confirm}",
    ]
    if policy.guards_off:
        rules.append(f"guards off: {', '.join(sorted(policy.guards_off))}")
    return Check("note" if policy.guards_off else "ok", f"Mode {policy.mode}: {'; '.join(rules)}.")


def _fate(app: App) -> str:
    policy = app.policy
    if policy.read_only:
        return "read-only, send_sms only prices"
    if not policy.live:
        return "send_sms only prices"
    if policy.simulated:
        return "send_sms texts simulated phones"
    return (
        "send_sms sends nothing before the names above are mended"
        if app.configuration.mistaken
        else ("send_sms really sends")
    )


async def _provider(app: App) -> list[Check]:
    """Ask 46elks for the account, and whether it would take our sender; neither costs anything."""
    checks, configuration = [], app.configuration
    if configuration.lacks(*_SAY_WHO_IS_ASKED):
        return [Check("note", "46elks was not asked: where it is, or the credentials, cannot be read.")]
    try:
        app.require_account(sender=not configuration.lacks("ELKS_PHONE_NUMBER"))
    except Misconfigured as error:
        checks.append(Check("fail", error.explain()))
    if configuration.settings.credentials or app.policy.simulated:
        checks += await _account(app)
    return checks


async def _account(app: App) -> list[Check]:
    who = "The simulated 46elks" if app.policy.simulated else "46elks"
    try:
        account = await app.client.get_account()
    except ElksError as error:
        return [Check("fail", error.explain())]
    most = largest_price(app.policy, account.balance.currency)
    checks = [
        Check("ok", f"{who} accepts the credentials; balance {account.balance}."),
        Check("ok", f"One message may cost {most} at most."),
    ]
    if account.balance.units <= 0:
        checks.append(Check("fail", "There is no money on the account; 46elks will not send anything."))
    if app.policy.sender:
        checks.append(await _sender(app, app.policy.sender))
    return [*checks, *await compare_numbers(app)]


async def _sender(app: App, sender: Sender) -> Check:
    shown = _masked("", sender)
    try:
        await app.client.get_estimate(Draft(to=_TEST_NUMBER, text="Hej!", sender=sender))
    except ElksError as error:
        return Check("fail", f"46elks does not take {shown} as sender. {error.explain()}")
    return Check("ok", f"46elks prices a text from {shown}.")


def _standard_output() -> Check:
    """Start the server as a client would, and see that only the protocol comes out."""
    command = [sys.executable, "-m", "elks_mcp"]
    try:
        done = subprocess.run(  # noqa: S603
            command, input=json.dumps(_HELLO) + "\n", capture_output=True, text=True, timeout=60, check=False
        )
        answers = [json.loads(line) for line in done.stdout.splitlines()]
    except subprocess.TimeoutExpired:
        return Check("fail", "The server did not end within 60 seconds after its input was closed.")
    except json.JSONDecodeError:
        return Check("fail", "Something prints to standard output; clients will not understand that.")
    if len(answers) != 1 or "result" not in answers[0]:
        return Check("fail", f"The server did not answer a client's hello; it said: {done.stderr[-300:]}")
    return Check("ok", "The server starts, answers, writes nothing but the protocol, and ends.")
