"""The faults of a policy file of escalation: in the file, in its people, and in calls."""

from elks_mcp.answers.alerts import build_alerts
from elks_mcp.app import App
from elks_mcp.domain.acknowledgements import request_digit
from elks_mcp.domain.escalation import Means
from elks_mcp.errors import InvalidInput
from elks_mcp.workflows.policy_files import PolicyFile
from elks_mcp.workflows.policy_reading import PolicyFault


async def list_policy_faults(app: App, found: PolicyFile) -> list[PolicyFault]:
    """List all faults in the order of their lines, with unknown people and what calls lack."""
    return sorted([*found.faults, *await _list_unknown(app, found), *_list_uncallable(app, found)])


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


def _list_uncallable(app: App, found: PolicyFile) -> list[PolicyFault]:
    """List what this server lacks for calls, at the first step of each policy that calls people."""
    faults: list[PolicyFault] = []
    for policy in found.policies.values():
        calling = (number for number, step in enumerate(policy.steps) if Means.CALL in step.means)
        if (number := next(calling, None)) is None:
            continue
        line = found.lines[policy.name, number]
        obstacles = app.calls.preparer.list_obstacles(request_digit("", policy.language))
        faults += [PolicyFault(line, f"It calls people. {each} {each.hint}") for each in obstacles]
    return faults
