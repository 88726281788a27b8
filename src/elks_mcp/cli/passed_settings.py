"""The settings of the environment that `elks-mcp connect` passes on to a client."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import click

from elks_mcp.cli.environment import read_env_file
from elks_mcp.settings import DECLARATIONS, Configuration, explain_mistake, read
from elks_mcp.settings.credential_settings import CredentialSettings
from elks_mcp.settings.problems import SettingProblem, explain_problems

_CREDENTIALS = tuple(DECLARATIONS[name].variable for name in CredentialSettings.model_fields)
_SECRETS = {*_CREDENTIALS, *(each.variable for each in DECLARATIONS.values() if each.is_secret)}
_NEEDED = (*_CREDENTIALS, "ELKS_PHONE_NUMBER")
"""The settings that sending needs. A client asks for those that are not set, or a person fills them in."""


class PassedSettings(NamedTuple):
    """Variables for a client, and those that are left out.

    `secrets` has "" for what is needed and not set. `names` are the variables in `env` that the environment
    sets, and `unused` those that the sandbox does not use.
    """

    env: dict[str, str]
    secrets: dict[str, str]
    names: list[str]
    unused: list[str]


def pass_settings(environ: Mapping[str, str], *, has_state_dir: bool) -> PassedSettings:
    """Return every setting of an environment for a client. Relative paths become absolute.

    `has_state_dir`: whether `--state-dir` names the state directory, so that the variable is not used.

    Raises:
        click.UsageError: a value is invalid, or a variable only looks like a setting. Without that error, the
            server of the client could not know that a limit is missing.
    """
    configuration = read(environ)
    _refuse_mistakes(configuration)
    values = {
        origin: _find_value(configuration, name, environ[origin].strip())
        for name, origin in configuration.origins.items()
        if not (has_state_dir and name == "state_dir")
    }
    if configuration.settings.simulated:
        unused = [name for name in values if name.removesuffix("_FILE") in _SECRETS]
        env = {name: value for name, value in values.items() if name not in unused}
        return PassedSettings(env, {}, list(env), unused)
    env = {name: value for name, value in values.items() if name not in _SECRETS}
    needed = {name: "" for name in _NEEDED if name not in env and f"{name}_FILE" not in env}
    secrets = {name: value for name, value in values.items() if name in _SECRETS}
    return PassedSettings({"DRY_RUN": "true"} | env, needed | secrets, list(env), [])


def list_left_out(environ: Mapping[str, str], env_file: Path) -> list[str]:
    """List the settings of an environment that a file does not have, or has with another value."""
    in_file, _ = read_env_file(env_file)
    origins = read(environ).origins.values()
    return sorted(name for name in origins if in_file.get(name, "").strip() != environ[name].strip())


def _refuse_mistakes(configuration: Configuration) -> None:
    mistaken = sorted(configuration.mistaken.items())
    mistakes = (SettingProblem(wrong, explain_mistake(wrong, right)) for wrong, right in mistaken)
    if problems := (*configuration.faults, *mistakes):
        raise click.UsageError(f"Nothing was changed. {explain_problems(problems)}")


def _find_value(configuration: Configuration, name: str, value: str) -> str:
    """Return the value of a setting for a client, which may start the server in another folder."""
    if configuration.origins[name] != DECLARATIONS[name].variable:
        return str(Path(value).absolute())
    parsed = getattr(configuration.settings, name)
    return str(parsed) if isinstance(parsed, Path) else value
