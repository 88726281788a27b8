"""`elks-mcp doctor`: check settings, state, 46elks and the server, and say what to do."""

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

from elks_mcp.answers.policy import describe_sending
from elks_mcp.answers.sandbox import find_mode, is_simulated
from elks_mcp.app import App
from elks_mcp.cli.cap_checks import TEST_NUMBER
from elks_mcp.cli.doctor_calls import check_calls
from elks_mcp.cli.doctor_cap import check_cap
from elks_mcp.cli.doctor_contacts import check_contacts
from elks_mcp.cli.doctor_escalation import check_escalation
from elks_mcp.cli.doctor_settings import (
    Check,
    compare_numbers,
    conclude,
    find_obstacle,
    list_exposed_files,
    list_faults,
    list_mms_obstacles,
    list_signature_costs,
    list_slips,
    list_values,
    list_wrong_names,
)
from elks_mcp.cli.environment import with_settings
from elks_mcp.cli.output import say
from elks_mcp.cli.read_only import open_read_only
from elks_mcp.cli.state import State
from elks_mcp.domain.allowed_recipients import describe_allowed_recipients
from elks_mcp.domain.doubts import explain_short_quiet_period
from elks_mcp.domain.orders import Draft
from elks_mcp.domain.payloads import Sms
from elks_mcp.domain.phone import Sender
from elks_mcp.domain.policy import Policy, largest_price
from elks_mcp.domain.setting_declaration import write_value
from elks_mcp.domain.wording import format_count
from elks_mcp.errors import ElksError, Misconfigured
from elks_mcp.settings import Configuration
from elks_mcp.store.storage import check_folder

_INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "elks-mcp doctor", "version": "1"},
    },
}


@click.command()
@click.option("--client", metavar="NAME", help="Check what this MCP client will really start, instead.")
@with_settings(even_invalid=True)
def doctor(configuration: Configuration, client: str | None) -> int:
    """Check the configuration, and whether 46elks accepts it. Exit code 0 if nothing is wrong."""
    if client:
        from elks_mcp.cli.doctor_client import print_client_checks  # noqa: PLC0415  (only needed with --client)

        return print_client_checks(client)
    click.echo(f"elks-mcp {version('elks-mcp')}, Python {platform.python_version()}, mcp {version('mcp')}")
    return anyio.run(_print_checks, configuration)


async def _print_checks(configuration: Configuration) -> int:
    marks = set()
    async with aclosing(_run_checks(configuration)) as checks:
        async for check in checks:
            marks.add(check.mark)
            say(f"{check.mark:>4}  {check.text}")
    return conclude(marks)


_CHECKS_OF_SETTINGS = (
    list_faults,
    list_wrong_names,
    list_slips,
    list_values,
    list_signature_costs,
    list_mms_obstacles,
    list_exposed_files,
)


async def _run_checks(configuration: Configuration) -> AsyncGenerator[Check]:
    """Run the checks in order. An unreadable value prevents only the checks that need it."""
    for check_settings in _CHECKS_OF_SETTINGS:
        for check in check_settings(configuration):
            yield check
    for check in await _check_state(configuration):
        yield check
    async with _open(configuration) as app:
        found = await _check_provider(app)  # a sandbox of another process is known only after a request
        calls = [*await check_calls(app), *await check_escalation(app)]
        for check in (_check_mode(app), *await check_contacts(app), *found, *calls):
            yield check
    yield await anyio.to_thread.run_sync(_check_server)


_STATE_SETTINGS = ("ELKS_STATE_DIR", "ELKS_DATABASE_URL", "ELKS_SECRET_KEY", "ELKS_SANDBOX")
_PROVIDER_SETTINGS = ("ELKS_API_USERNAME", "ELKS_API_PASSWORD", "ELKS_API_BASE_URL", "ELKS_SANDBOX")


@asynccontextmanager
async def _open(configuration: Configuration) -> AsyncIterator[App]:
    """Open an `App` as a server would.

    Its state is an empty one if the settings of the state cannot be read.
    """
    with TemporaryDirectory() as folder:
        if configuration.lacks(*_STATE_SETTINGS):
            nowhere = {"state_dir": Path(folder), "database_url": None, "secret_key": None}
            settings = configuration.settings.model_copy(update=nowhere)
            configuration = replace(configuration, settings=settings)
        async with open_read_only(configuration) as app:
            yield app


async def _check_state(configuration: Configuration) -> list[Check]:
    """Check that state can be stored, and list what needs a person there."""
    if configuration.lacks(*_STATE_SETTINGS):
        return [
            Check("note", "The state was not checked, because the settings that locate it cannot be read.")
        ]
    state, settings = State(configuration), configuration.settings
    weak = explain_short_quiet_period(settings.quiet_period, settings.timeout)
    checks = [Check("note", f"{weak}.")] if weak else []
    if obstacle := find_obstacle(state.location.folder):
        return [*checks, Check("fail", f"State cannot be stored in {state.description}: {obstacle}")]
    try:
        if state.location.folder:
            check_folder(state.location.folder)
        if not state.exists:
            fate = (
                "It is lost when the server ends"
                if state.location.folder is None
                else "It is created when needed"
            )
            return [*checks, Check("ok", f"State is in {state.description}. {fate}.")]
        from elks_mcp.cli.doctor_accounts import examine_accounts  # noqa: PLC0415  (loads the database: slow)
        from elks_mcp.cli.doctor_orders import check_orders  # noqa: PLC0415
        from elks_mcp.cli.doctor_servers import check_servers  # noqa: PLC0415

        checks += await state.query_async(partial(check_orders, state.description))
        checks += await state.query_async(partial(check_servers, configuration))
        accounts = await state.query_async(partial(examine_accounts, settings.account))
        return [*checks, *(Check("note", each) for each in accounts)]
    except ElksError as error:
        return [*checks, Check("fail", f"State is in {state.description}. {error.explain()}")]


def _check_mode(app: App) -> Check:
    """Say in one line what can be sent, to whom, and when a person is asked."""
    if app.configuration.faults:
        return Check(
            "fail", "Every call of a client fails until the values that cannot be read are corrected."
        )
    policy = app.policy
    mode = find_mode(app) if policy.live else policy.mode
    countries = ", ".join(sorted(policy.allowed_countries))
    rules = [
        _explain_sending(
            policy, simulated=is_simulated(app), has_mistaken_names=bool(app.configuration.mistaken)
        ),
        f"to {describe_allowed_recipients(policy.allowed_recipients)}"
        if policy.allowed_recipients
        else f"to {countries}",
        f"at most {format_count(policy.max_parts, 'part')} per text",
        f"ELKS_CONFIRM is {policy.confirm}",
    ]
    if policy.guards_off:
        rules.append(f"guards off: {', '.join(sorted(policy.guards_off))}")
    return Check("note" if policy.guards_off else "ok", f"Mode {mode}: {'; '.join(rules)}.")


def _explain_sending(policy: Policy, *, simulated: bool, has_mistaken_names: bool) -> str:
    if has_mistaken_names and policy.live and not policy.simulated:
        return "nothing is sent until the names above are fixed"
    why = " (read-only)" if policy.read_only else ""
    return f"{describe_sending(policy, simulated=simulated)}{why}"


async def _check_provider(app: App) -> list[Check]:
    """Check the credentials and the sender with 46elks, which costs nothing."""
    checks, configuration = [], app.configuration
    if configuration.lacks(*_PROVIDER_SETTINGS):
        return [Check("note", "46elks was not asked, because its address or the credentials cannot be read.")]
    try:
        app.require_account(sender=not configuration.lacks("ELKS_PHONE_NUMBER"))
    except Misconfigured as error:
        checks.append(Check("fail", error.explain()))
    if configuration.settings.credentials or app.policy.simulated:
        checks += await _check_account(app)
        checks += await check_cap(configuration.settings)
    return checks


async def _check_account(app: App) -> list[Check]:
    try:
        account = await app.client.get_account()
    except ElksError as error:
        return [Check("fail", error.explain())]
    provider = "The simulated 46elks" if is_simulated(app) else "46elks"
    most = largest_price(app.policy, account.balance.currency)
    checks = [
        Check("ok", f"{provider} accepts the credentials. The balance is {account.balance}."),
        Check("ok", f"One message may cost at most {most}."),
    ]
    if account.balance.units <= 0:
        checks.append(Check("fail", "There is no money on the account, so 46elks sends nothing. Top it up."))
    if app.policy.sender:
        checks.append(await _check_sender(app, app.policy.sender))
    return [*checks, *await compare_numbers(app)]


async def _check_sender(app: App, sender: Sender) -> Check:
    shown = write_value(sender)
    try:
        await app.client.get_estimate(Draft(to=TEST_NUMBER, payload=Sms(text="Hej!"), sender=sender))
    except ElksError as error:
        return Check("fail", f"46elks does not accept {shown} as sender. {error.explain()}")
    return Check("ok", f"46elks returns a price for a text from {shown}.")


def _check_server() -> Check:
    """Start the server as a client would. Check that its standard output is only protocol."""
    command = [sys.executable, "-m", "elks_mcp"]
    try:
        done = subprocess.run(  # noqa: S603
            command,
            input=json.dumps(_INITIALIZE) + "\n",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        answers = [json.loads(line) for line in done.stdout.splitlines()]
    except subprocess.TimeoutExpired:
        return Check("fail", "The server did not end within 60 seconds after its standard input was closed.")
    except json.JSONDecodeError:
        return Check(
            "fail", "The server writes text that is not JSON to standard output, so clients reject it."
        )
    if len(answers) != 1 or "result" not in answers[0]:
        return Check(
            "fail", f"The server did not answer `initialize`. The end of its log: {done.stderr[-300:]}"
        )
    return Check("ok", "The server starts, answers, writes nothing but the protocol, and ends.")
