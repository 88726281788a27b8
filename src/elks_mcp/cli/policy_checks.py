"""The faults of a policy file of escalation: in the file, in its people, and in calls."""

from elks_mcp.answers.alerts import build_alerts
from elks_mcp.app import App
from elks_mcp.domain.acknowledgements import request_digit
from elks_mcp.domain.escalation import EscalationPolicy, Means
from elks_mcp.errors import InvalidInput
from elks_mcp.workflows.policy_files import PolicyFile
from elks_mcp.workflows.policy_reading import PolicyFault


async def list_policy_faults(app: App, found: PolicyFile, *, tries_speech: bool) -> list[PolicyFault]:
    """List all faults in the order of their lines, with unknown people and what calls lack.

    `tries_speech`: whether the program that calls use has to speak, which takes it up to 30 seconds.
    """
    uncallable = await _list_uncallable(app, found, tries_speech=tries_speech)
    return sorted([*found.faults, *await _list_unknown(app, found), *uncallable])


async def _list_unknown(app: App, found: PolicyFile) -> list[PolicyFault]:
    """List the people and groups that the contacts do not have."""
    faults = []
    for policy in found.policies.values():
        for number, step in enumerate(policy.steps):
            try:
                await build_alerts(app).alert_planner.find_people(step.whom)
            except InvalidInput as error:
                faults.append(PolicyFault(found.lines[policy.name, number], str(error)))
    return faults


async def _list_uncallable(app: App, found: PolicyFile, *, tries_speech: bool) -> list[PolicyFault]:
    """List what this server lacks for calls, at the first step of each policy that calls people."""
    faults: list[PolicyFault] = []
    calling = [each for each in found.policies.values() if _find_calling_step(each) is not None]
    failure = await app.calls.preparer.find_speech_failure() if calling and tries_speech else None
    for policy in calling:
        line = found.lines[policy.name, _find_calling_step(policy) or 0]
        obstacles = app.calls.preparer.list_obstacles(request_digit("", policy.language))
        obstacles += [failure] if failure else []
        faults += [PolicyFault(line, f"It calls people. {each} {each.hint}") for each in obstacles]
    return faults


def _find_calling_step(policy: EscalationPolicy) -> int | None:
    return next((number for number, step in enumerate(policy.steps) if Means.CALL in step.means), None)
