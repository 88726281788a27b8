"""`elks-mcp escalation`: check the policies, try one, and see, acknowledge and end alerts.

`list`, `show`, `ack` and `end` work on the state alone, as those of `elks-mcp outbox` do.
"""

from datetime import tzinfo
from functools import partial
from pathlib import Path

import click

from elks_mcp.cli.alert_trial import test
from elks_mcp.cli.arguments import shared_options
from elks_mcp.cli.contact_reading import read_contacts_leniently
from elks_mcp.cli.environment import with_settings
from elks_mcp.cli.exit_codes import ExitCode
from elks_mcp.cli.output import say
from elks_mcp.cli.policy_checks import list_policy_faults
from elks_mcp.cli.session import Session, print_json, session_command
from elks_mcp.cli.state import State
from elks_mcp.domain.alert_questions import describe_next
from elks_mcp.domain.alerts import Alert
from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.display import visible
from elks_mcp.domain.escalation import OPEN_STATES, AlertState
from elks_mcp.domain.phone import Number
from elks_mcp.domain.wording import format_count, format_time_in
from elks_mcp.errors import Misconfigured, NotFound
from elks_mcp.settings import Configuration
from elks_mcp.store.alert_admin import AlertAdmin, AlertRecord
from elks_mcp.workflows.alerts import ENDED_BY_PERSON
from elks_mcp.workflows.policy_files import PolicyFile, describe_policy, read_policies, read_policy_file
from elks_mcp.workflows.policy_reading import PolicyFault

alert_id = click.argument("number", metavar="E-…")
_json = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")


@click.group()
@shared_options
def escalation() -> None:
    """Page people until somebody answers.

    A running `elks-mcp serve` carries alerts on. `test` tries a policy.
    """


escalation.add_command(test)


@escalation.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@session_command()
def check(session: Session, *, file: Path | None) -> int:
    """Check a policy file, ELKS_ESCALATION unless FILE names another one.

    Each fault is printed with its line, and with what to write. The people it names are looked up in your
    contacts. If a policy calls people, it says what this server lacks for calls, and has the program of
    ELKS_TTS_COMMAND speak once. Nothing is sent, and no credentials are needed.

    Exit code 0 if the file can be used, 1 if it has faults.
    """
    path = file or session.app.configuration.settings.escalation
    if path is None:
        raise Misconfigured("No policy file is named.", hint="Name one, or set ELKS_ESCALATION.")
    found = read_policies(read_policy_file(path))
    faults = session.do(partial(list_policy_faults, tries_speech=True), session.app, found)
    if session.as_json:
        print_json(
            {
                "file": str(path),
                "policies": list(found.policies),
                "faults": [{"line": line, "reason": reason} for line, reason in faults],
            }
        )
    else:
        _print_check(path, found, faults)
    return ExitCode.FAILED if faults else ExitCode.DONE


def _print_check(path: Path, found: PolicyFile, faults: list[PolicyFault]) -> None:
    for line, reason in faults:
        say(f"{path}:{line}: {visible(reason)}")
    for policy in found.policies.values() if not faults else ():
        say(visible(describe_policy(policy)))
    if faults:
        say(f"{format_count(len(faults), 'fault')}. No policy of this file is used until they are corrected.")


@escalation.command("list")
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="The most alerts to list."
)
@_json
@with_settings()
def list_alerts(configuration: Configuration, limit: int, *, as_json: bool) -> int:
    """List the alerts of all accounts, the latest first."""
    state = State(configuration)
    records = state.query(lambda database: AlertAdmin(database).list_latest(limit)) if state.exists else []
    if as_json:
        print_json([_as_json(each.alert) for each in records])
        return ExitCode.DONE
    for each in records:
        say(_describe_line(each.alert, configuration.policy.time_zone))
    if not records:
        say("There are no alerts." if state.exists else state.absence)
    return ExitCode.DONE


@escalation.command()
@alert_id
@_json
@with_settings()
def show(configuration: Configuration, number: str, *, as_json: bool) -> int:
    """Show how far an alert is: who was reached, what comes next, who answered, and its code."""

    def find(state: State) -> AlertRecord | None:
        found = state.query(lambda database: AlertAdmin(database).find(number))
        if found is None or found.alert.state in OPEN_STATES or found.alert.late_at:
            return found
        return state.query(lambda database: AlertAdmin(database).examine(number))

    record = find(State(configuration))
    if record is None:
        raise NotFound("No alert has that id.", hint="To list them: `elks-mcp escalation list`.")
    _print(configuration, record, as_json=as_json)
    return ExitCode.DONE


@escalation.command()
@alert_id
@_json
@with_settings()
def ack(configuration: Configuration, number: str, *, as_json: bool) -> int:
    """Acknowledge an alert: nobody else is alerted. Needs no credentials.

    Exit code 0 if it is acknowledged, now or before, 1 if it was over.
    """
    record = State(configuration).query(lambda database: AlertAdmin(database).acknowledge(number))
    _print(configuration, record, as_json=as_json)
    return ExitCode.DONE if record.alert.state is AlertState.ACKNOWLEDGED else ExitCode.FAILED


@escalation.command()
@alert_id
@_json
@with_settings()
def end(configuration: Configuration, number: str, *, as_json: bool) -> int:
    """End an alert without acknowledging it: nobody else is alerted. Needs no credentials.

    Exit code 0 if it is over, 1 if it is not.
    """
    record = State(configuration).query(lambda database: AlertAdmin(database).end(number, ENDED_BY_PERSON))
    _print(configuration, record, as_json=as_json)
    is_open = record.alert.state in {AlertState.WAITING, AlertState.RUNNING}
    return ExitCode.FAILED if is_open else ExitCode.DONE


def _print(configuration: Configuration, record: AlertRecord, *, as_json: bool) -> None:
    alert, zone = record.alert, configuration.policy.time_zone
    if as_json:
        print_json(_as_json(alert))
        return
    contacts = read_contacts_leniently(configuration)
    say(_describe_line(alert, zone))
    if alert.state is AlertState.RUNNING and record.plan:
        say(f"  Code: {record.plan.code}")
    for each in alert.attempts:
        became = f"skipped. {each.skipped}" if each.skipped else (each.order_state or "unknown")
        say(f"  Step {each.position + 1}: {_name(each.to, contacts)} by {each.means}: {became}")
    for line in _describe_rest(alert, contacts, zone):
        say(f"  {line}")


def _describe_rest(alert: Alert, contacts: Contacts, zone: tzinfo | None) -> list[str]:
    lines = []
    goes_on = describe_next(alert, lambda number: _name(Number(number), contacts))
    if alert.state is AlertState.RUNNING and alert.next_at:
        lines.append(f"Next: {goes_on or 'it ends'}, {format_time_in(zone, alert.next_at)}")
    if alert.state is AlertState.ACKNOWLEDGED:
        by = _name(alert.acknowledged_by, contacts) if alert.acknowledged_by else "a person at a terminal"
        lines.append(f"Acknowledged by {by}.")
    if alert.reason:
        lines.append(visible(alert.reason))
    lines += [f"{_name(each.to, contacts)} sent {each.wrong_codes} wrong codes." for each in alert.blocked]
    if alert.late_at:
        who = _name(alert.late_by, contacts) if alert.late_by else "a person at a terminal"
        lines.append(f"Acknowledged after its end by {who}, {format_time_in(zone, alert.late_at)}.")
    return lines


def _describe_line(alert: Alert, zone: tzinfo | None) -> str:
    at = format_time_in(zone, alert.created_at)
    return (
        f"{alert.id}  {alert.state:<12}  {alert.spent} of at most {alert.most}, raised {at}  {alert.policy}"
    )


def _name(number: Number | None, contacts: Contacts) -> str:
    if number is None:
        return "somebody"
    name = contacts.find_name(number)
    return f"{visible(name)} ({number.e164})" if name else number.e164


def _as_json(alert: Alert) -> dict[str, object]:
    written: dict[str, object] = alert.model_dump(mode="json", exclude={"path"})
    return written
