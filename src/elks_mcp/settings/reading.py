"""The environment, read into `Settings`, with the values that are unreadable or look wrong."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from elks_mcp.domain.policy import OperatorRules, Policy
from elks_mcp.domain.setting_declaration import RuleSetting
from elks_mcp.errors import Misconfigured
from elks_mcp.runtime.start_options import ENV_FILE
from elks_mcp.runtime.validation import wanted
from elks_mcp.settings.conflicts import find_conflicts
from elks_mcp.settings.mistaken_names import explain_mistake, sort_out_names
from elks_mcp.settings.parsers import read_text
from elks_mcp.settings.problems import (
    SettingProblem,
    Unreadable,
    describe_value,
    explain_problems,
    find_credential_slips,
    find_secrets,
    find_slip,
    may_show,
)
from elks_mcp.settings.settings import DECLARATIONS, Settings
from elks_mcp.store.private_files import is_open_to_all

NAMES: Mapping[str, str] = {each.variable: name for name, each in DECLARATIONS.items()}
"""The name of the field in `Settings` for each environment variable."""

ALSO_AS_FILE = tuple(each.variable for each in DECLARATIONS.values() if each.can_be_file)
"""Variables whose value may be in a file instead, which the variable with `_FILE` at its end names."""

_KNOWN = frozenset({*NAMES, *(f"{name}_FILE" for name in ALSO_AS_FILE)})


@dataclass(frozen=True)
class Configuration:
    """The settings, and what the operator should know about the environment they were read from."""

    settings: Settings
    origins: Mapping[str, str]
    """The variable that each setting was read from, by the name of its field. Settings with defaults are
    absent."""

    mistaken: Mapping[str, str]
    """Variables that are set and look like settings, with the name that is meant, or "" if none is near."""

    unknown: tuple[str, ...]
    """All other variables that begin with ELKS_ and are not settings."""

    unexpanded: tuple[str, ...] = ()
    """Settings that a client left unexpanded (`${…}`). They count as unset."""

    slips: tuple[str, ...] = ()
    """Sentences about values that are valid and look wrong. None repeats a value."""

    faults: tuple[SettingProblem, ...] = ()
    """The values that cannot be read. `settings` lacks them, so no text may be sent by these settings."""

    exposed: tuple[str, ...] = ()
    """Variables and options that name a file with a secret that every user of this machine may read."""

    @cached_property
    def policy(self) -> Policy:
        """The rules in force."""
        return self.settings.policy()

    def lacks(self, *variables: str) -> bool:
        """Return whether one of these settings, or the file that may hold them, cannot be read."""
        return any(fault.setting in {*variables, ENV_FILE} for fault in self.faults)

    def find_sending_obstacle(self) -> Misconfigured | None:
        """Return why a server with these settings would not send what is queued; None if it would."""
        policy, outcome = self.policy, "this server would send nothing."
        if self.mistaken and not policy.simulated:
            return Misconfigured(f"{self.explain_mistakes()} Until that is fixed, {outcome}")
        if self.settings.credentials is None and not policy.simulated:
            return Misconfigured(
                f"ELKS_API_USERNAME and ELKS_API_PASSWORD are not both set, so {outcome}",
                hint="Set them, for example in a file that --env-file names.",
            )
        if policy.read_only:
            return Misconfigured(f"ELKS_READ_ONLY is on, so {outcome}", hint="Unset it.")
        if policy.dry_run:
            return Misconfigured(
                f"DRY_RUN is on, as it is by default, so {outcome}",
                hint="Set DRY_RUN=false if texts are to be sent.",
            )
        return None

    def explain_mistakes(self) -> str:
        """Return a sentence for each variable whose name is nearly that of a setting."""
        return " ".join(explain_mistake(*pair) for pair in self.mistaken.items())

    def list_rules(self, policy: Policy, currency: str | None) -> tuple["RuleInForce", ...]:
        """Return what the policy report states about each rule, in the order of declaration.

        `policy` holds the rules in force. `currency` is the account's, "" if the account has none, None if it
        is not known.
        """
        return tuple(
            RuleInForce(
                name=name,
                title=rule.title,
                value=rule.explain(
                    getattr(policy if name in OperatorRules.model_fields else self.settings, name), currency
                ),
                variable=rule.variable,
                is_set=name in self.origins,
            )
            for name, rule in DECLARATIONS.items()
            if isinstance(rule, RuleSetting)
        )


@dataclass(frozen=True, slots=True)
class RuleInForce:
    """A rule as the policy report states it."""

    name: str
    """The field of `Settings`."""

    title: str
    value: str
    variable: str
    is_set: bool
    """Whether the operator set the rule; otherwise its default is in force."""


def load(environ: Mapping[str, str]) -> Configuration:
    """Return the configuration in an environment.

    Raises:
        Misconfigured: a value cannot be read. The text names each variable, without numbers and secrets.
    """
    configuration = read(environ)
    if configuration.faults:
        raise Misconfigured(explain_problems(configuration.faults))
    return configuration


def read(environ: Mapping[str, str]) -> Configuration:
    """Return the configuration in an environment. All unreadable values are in its `faults`."""
    present = {name: value.strip() for name, value in environ.items() if is_set(value)}
    values, origins, faults = _gather(present)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        secrets = find_secrets({**present, **_by_variable(values)})
        faults += [_describe(each, origins, secrets) for each in error.errors(include_url=False)]
        values = _without(values, {NAMES[fault.setting] for fault in faults})
        settings = Settings.model_validate(values)
    if conflicts := find_conflicts(settings, values, faults):
        faults += conflicts.values()
        values = _without(values, set(conflicts))
        settings = Settings.model_validate(values)
    mistaken, unknown = sort_out_names(present, _KNOWN)
    return Configuration(
        settings,
        {name: origin for name, origin in origins.items() if name in values},
        mistaken,
        unknown,
        unexpanded=tuple(sorted(name for name in _KNOWN & environ.keys() if is_unexpanded(environ[name]))),
        slips=_find_slips(values, settings),
        faults=tuple(faults),
        exposed=_find_exposed_files(present),
    )


def _gather(present: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str], list[SettingProblem]]:
    """Return the texts of settings and the variables they came from, by field, and the problems."""
    values, origins, faults = {}, {}, []
    for name, setting in DECLARATIONS.items():
        variable = setting.variable
        path = present.get(f"{variable}_FILE") if setting.can_be_file else None
        try:
            value = present.get(variable) if path is None else _read_named_file(variable, path, present)
        except Unreadable as error:
            faults.append(SettingProblem(variable, str(error)))
            continue
        if value is not None and not _is_utf8(value):
            faults.append(SettingProblem(variable, f"{variable} contains bytes that are not UTF-8."))
        elif value is not None:
            values[name], origins[name] = value, variable if path is None else f"{variable}_FILE"
    return values, origins, faults


def _by_variable(values: Mapping[str, str]) -> dict[str, str]:
    return {DECLARATIONS[name].variable: value for name, value in values.items()}


def _is_utf8(value: str) -> bool:
    """Return whether a value is text. Python marks bytes that it cannot decode as surrogates."""
    return not any("\ud800" <= char <= "\udfff" for char in value)


def _without(values: Mapping[str, str], unreadable: set[str]) -> dict[str, str]:
    """Leave out unreadable values, and the values whose reading depends on them."""
    if "sender" in unreadable:  # national numbers are read as in the sender's country
        unreadable = unreadable | {"allowed_recipients"}
    return {name: value for name, value in values.items() if name not in unreadable}


def _find_slips(values: Mapping[str, str], settings: Settings) -> tuple[str, ...]:
    unused = {"ELKS_API_USERNAME", "ELKS_API_PASSWORD"} if settings.simulated else set()
    if '"' in values.get("allowed_recipients", ""):  # they keep a comma in a name
        unused.add("ELKS_ALLOWED_RECIPIENTS")
    used = {name: value for name, value in _by_variable(values).items() if name not in unused}
    slips = [f"{name} may be wrong. {slip}" for name, value in used.items() if (slip := find_slip(value))]
    return (*slips, *find_credential_slips(used.get("ELKS_API_USERNAME"), used.get("ELKS_API_PASSWORD")))


def _find_exposed_files(present: Mapping[str, str]) -> tuple[str, ...]:
    """Return the variables that name a secret file which every user of this machine may read."""
    secrets = [each.variable for each in DECLARATIONS.values() if each.is_secret and each.can_be_file]
    paths = {f"{variable}_FILE": present.get(f"{variable}_FILE") for variable in secrets}
    return tuple(name for name, path in paths.items() if path and is_open_to_all(Path(path)))


def is_set(value: str) -> bool:
    """Return whether a value is neither blank nor left unexpanded by a client (`${…}`)."""
    return bool(value.strip()) and not is_unexpanded(value)


def is_unexpanded(value: str) -> bool:
    """Return whether a value is only a variable that a client left unexpanded (`${…}`)."""
    return re.fullmatch(r"\$\{[^}]*\}", value.strip()) is not None


def _read_named_file(variable: str, path: str, present: Mapping[str, str]) -> str:
    if variable in present:
        raise Unreadable(f"{variable} and {variable}_FILE are both set. Unset one of them.")
    try:
        text = read_text(Path(path)).strip()
    except Unreadable as error:
        # The path is not shown: the operator may have written the secret itself there.
        raise Unreadable(f"{variable}_FILE names a file that cannot be read: {error}.") from None
    if not text:
        raise Unreadable(f"{variable}_FILE names a file that is empty.")
    return text


def _describe(fault: Any, origins: Mapping[str, str], secrets: frozenset[str]) -> SettingProblem:
    """Return the problem with a value, from one of pydantic's `ErrorDetails`.

    The content of a file is not shown: the path may name another file than the operator meant.
    """
    name, value = str(fault["loc"][0]), str(fault["input"])
    setting, origin = DECLARATIONS[name], origins[name]
    is_hidden = setting.is_secret or setting.is_private
    shown = not is_hidden and origin == setting.variable and may_show(value, secrets)
    error = fault.get("ctx", {}).get("error")
    reason = error.advice if isinstance(error, Unreadable) and not shown else wanted(fault)
    label = describe_value(origin, value, shown=shown)
    # The words between value and reason keep `mask` from taking the value and a limit for one phone number.
    text = f"{label} is not valid: {reason.rstrip('.')}. {find_slip(value)}"
    return SettingProblem(setting.variable, text.rstrip())
