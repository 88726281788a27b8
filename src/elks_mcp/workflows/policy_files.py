"""The operator's file with policies of escalation."""

from dataclasses import dataclass
from pathlib import Path

from elks_mcp.domain.escalation import EscalationPolicy
from elks_mcp.domain.wording import format_count, format_exactly
from elks_mcp.errors import InvalidInput, Misconfigured
from elks_mcp.workflows.policy_reading import PolicyFault, PolicyReader, format_minutes
from elks_mcp.workflows.yaml_files import MOST_YAML_BYTES, YamlFault, read_yaml


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """The policies in a file, by their names."""

    policies: dict[str, EscalationPolicy]
    lines: dict[tuple[str, int], int]
    """The line of each step, by the policy's name and the step's number from 0."""

    faults: tuple[PolicyFault, ...] = ()
    """Empty for a file that can be used. Policies with a fault are left out."""

    def get(self, name: str) -> EscalationPolicy:
        """Return the policy with a name.

        Raises:
            InvalidInput: there is none.
        """
        if found := self.policies.get(name.strip()):
            return found
        known = ", ".join(self.policies)
        raise InvalidInput(
            f"There is no policy {name.strip()!r}. Policies: {known}.", hint="Name one of them."
        )


def load_policies(path: Path | None) -> PolicyFile:
    """Return the policies of a file that must be free of faults.

    Raises:
        Misconfigured: no file is named, or it cannot be read, or it has faults; the first three are named.
    """
    if path is None:
        raise Misconfigured(
            "No policy of escalation is configured.",
            hint="Set ELKS_ESCALATION to a policy file: docs/paging.md says how to write one.",
        )
    found = read_policies(read_policy_file(path))
    if found.faults:
        first = " ".join(f"{path.name}:{line}: {reason}" for line, reason in found.faults[:_MOST_NAMED])
        more = len(found.faults) - _MOST_NAMED
        rest = f" And {format_count(more, 'more fault')}." if more > 0 else ""
        raise Misconfigured(f"The policy file has faults. {first}{rest}", hint=_CHECK)
    return found


_MOST_NAMED = 3
_CHECK = "To list them all: `elks-mcp escalation check`."


def read_policy_file(path: Path) -> bytes:
    """Return the content of a policy file, at most one byte more than is allowed.

    Raises:
        Misconfigured: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MOST_YAML_BYTES + 1)
    except OSError as error:
        raise Misconfigured(
            f"The policy file {path.name} cannot be read: {error.strerror}.",
            hint="Name a file that this user may read, in ELKS_ESCALATION or on the command line.",
        ) from None


def read_policies(content: bytes) -> PolicyFile:
    """Return the policies in a file, and its faults in the order of their lines.

    Raises:
        Misconfigured: PyYAML is not installed.
    """
    try:
        root = read_yaml(content)
    except YamlFault as fault:
        return PolicyFile({}, {}, (PolicyFault(fault.line, str(fault)),))
    reader = PolicyReader()
    policies = reader.read(root)
    return PolicyFile(policies, reader.lines, tuple(sorted(reader.faults)))


def describe_policy(policy: EscalationPolicy) -> str:
    """Return a policy in one line: its steps, rounds and caps."""
    steps = ", ".join(
        f"{step.whom} by {' and '.join(step.means)} ({format_minutes(step.wait)} min)"
        for step in policy.steps
    )
    rounds = f"; {format_count(policy.rounds, 'round')}" if policy.rounds > 1 else ""
    caps = f"at most {policy.cost_cap} and {format_exactly(policy.time_cap)}"
    return f"{policy.name}: {steps}{rounds}; {caps}."
