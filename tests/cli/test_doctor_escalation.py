"""The line of `elks-mcp doctor` about the policy file of escalation."""

from pathlib import Path

import pytest

from tests.support.process import invoke

GOOD = "policies:\n  jour:\n    cost_cap: 10\n    steps:\n    - {whom: +46701740620, by: sms, wait: 5}\n"
ON = "sms,escalation"


def doctor(**environ: str) -> str:
    """Run `elks-mcp doctor`, and return what it prints."""
    return " ".join(invoke(("doctor",), {"ELKS_SANDBOX": "true", **environ}).output.split())


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    path = tmp_path / "paging.yaml"
    path.write_text(GOOD, "utf-8")
    return path


def test_without_the_toolset_and_a_file_nothing_is_said_about_policies() -> None:
    assert "escalation" not in doctor()


def test_a_toolset_without_a_file_is_named() -> None:
    said = doctor(ELKS_TOOLSETS=ON)
    assert "fail The toolset escalation is on, and ELKS_ESCALATION names no policy file" in said


def test_a_file_that_can_be_used_is_named_with_its_policies(policies: Path) -> None:
    said = doctor(ELKS_TOOLSETS=ON, ELKS_ESCALATION=str(policies))
    assert f"ok The policies of escalation are in {policies}: jour." in said
    off = doctor(ELKS_ESCALATION=str(policies))
    assert f"note The policies of escalation are in {policies}: jour. Assistants cannot use them" in off


@pytest.mark.parametrize(
    ("good", "bad", "says"),
    [
        ("wait: 5", "wait: no", ":5: "),
        (
            "cost_cap: 10",
            "cost_cap: 10\n    repeat: 2",
            ":4: The policy 'jour' has the unknown key 'repeat'.",
        ),
        ("+46701740620", "Bo Ek", ":5: "),
        ("by: sms", "by: call", ":5: It calls people. "),
        ("policies:", "policies", ":"),
    ],
)
def test_the_first_fault_is_named_with_its_line(policies: Path, good: str, bad: str, says: str) -> None:
    policies.write_text(GOOD.replace(good, bad), "utf-8")
    said = doctor(ELKS_TOOLSETS=ON, ELKS_ESCALATION=str(policies))
    assert f"fail {policies}{says}" in said
    assert "To list all: `elks-mcp escalation check`." in said


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    said = doctor(ELKS_TOOLSETS=ON, ELKS_ESCALATION=str(tmp_path / "none.yaml"))
    assert f"fail {tmp_path / 'none.yaml'}: The policy file none.yaml cannot be read" in said
