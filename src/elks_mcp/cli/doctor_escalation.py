"""The check of `elks-mcp doctor` on the policy file of escalation."""

from pathlib import Path

from elks_mcp.app import App
from elks_mcp.cli.doctor_settings import Check
from elks_mcp.domain.toolsets import Toolset
from elks_mcp.domain.wording import format_count
from elks_mcp.errors import Misconfigured
from elks_mcp.runtime.launcher import show_command


async def check_escalation(app: App) -> list[Check]:
    """Say whether the policy file can be used, or that the toolset is on without one."""
    path, is_on = app.configuration.settings.escalation, Toolset.ESCALATION in app.policy.toolsets
    if path is None:
        without = (
            "The toolset escalation is on, and ELKS_ESCALATION names no policy file, so nobody is alerted."
        )
        return [Check("fail", without)] if is_on else []
    return [await _check_file(app, path, is_on=is_on)]


async def _check_file(app: App, path: Path, *, is_on: bool) -> Check:
    from elks_mcp.cli.policy_checks import list_policy_faults  # noqa: PLC0415  (only with a policy file)
    from elks_mcp.workflows.policy_files import read_policies, read_policy_file  # noqa: PLC0415

    try:
        found = read_policies(read_policy_file(path))
        faults = await list_policy_faults(app, found, tries_speech=False)  # `check_calls` does
    except Misconfigured as error:
        return Check("fail", f"{path}: {error.explain()}")
    if faults:
        first, count = faults[0], format_count(len(faults), "fault")
        how = f"To list all: {show_command('escalation check')}."
        return Check("fail", f"{path}:{first.line}: {first.reason} It has {count}. {how}")
    names = f"The policies of escalation are in {path}: {', '.join(found.policies)}."
    if not is_on:
        return Check("note", f"{names} Assistants cannot use them: escalation is not in ELKS_TOOLSETS.")
    return Check("ok", names)
