"""The policy file: every fault has its line and says what to write."""

from datetime import timedelta
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.domain.escalation import AckLanguage, EscalationPolicy, Means, PolicyStep
from elks_mcp.errors import InvalidInput, Misconfigured
from elks_mcp.workflows.policy_files import describe_policy, load_policies, read_policies
from elks_mcp.workflows.yaml_files import MOST_YAML_BYTES

MINUTE = timedelta(minutes=1)

GOOD = """\
language: sv
policies:
  jour:
    steps:
      - whom: Åsa Berg
        by: sms
        wait: 5
      - {whom: "@jour", by: [sms], wait: 0.5}
      - {whom: +46701740605, by: sms, wait: 10}
    rounds: 2
    cost_cap: 12,50
    time_cap: 60
"""


def faults(text: str) -> list[tuple[int, str]]:
    return [tuple(each) for each in read_policies(dedent(text).encode()).faults]  # type: ignore[misc]


def test_a_policy_file_is_read_as_it_was_written() -> None:
    found = read_policies(GOOD.encode())
    assert found.faults == ()
    assert found.policies == {
        "jour": EscalationPolicy(
            name="jour",
            steps=(
                PolicyStep(whom="Åsa Berg", means=(Means.SMS,), wait=5 * MINUTE),
                PolicyStep(whom="@jour", means=(Means.SMS,), wait=MINUTE / 2),
                PolicyStep(whom="+46701740605", means=(Means.SMS,), wait=10 * MINUTE),
            ),
            rounds=2,
            cost_cap="12,50",
            time_cap=60 * MINUTE,
            language=AckLanguage.SWEDISH,
        )
    }
    assert found.lines == {("jour", 0): 5, ("jour", 1): 8, ("jour", 2): 9}


def test_a_policy_has_usual_values_for_what_is_left_out() -> None:
    found = read_policies(b"policies: {a: {cost_cap: 5, steps: [{whom: Bo, by: sms, wait: 5}]}}")
    [policy] = found.policies.values()
    assert (policy.rounds, policy.time_cap, policy.language) == (1, 120 * MINUTE, AckLanguage.ENGLISH)
    assert describe_policy(policy) == "a: Bo by sms (5 min); at most 5 and 2 hours."


STEP = "{whom: Bo, by: sms, wait: 5}"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "The file is empty"),
        ("- a", 1, "The file must hold `policies`"),
        ("policies: {}", 1, "at least one policy"),
        ("polices:\n  a: 1", 1, "Did you mean `policies`?"),
        ("policies:\n  a: 1\nlanguage: de", 3, "`language` must be en or sv, not 'de'"),
        (f"policies:\n  a:\n    steps: [{STEP}]", 3, "has no `cost_cap`"),
        (f"policies:\n  a:\n    cost_cap: 0\n    steps: [{STEP}]", 3, "above 0"),
        (f"policies:\n  a:\n    cost_cap: [1]\n    steps: [{STEP}]", 3, "must be an amount"),
        (
            f"policies:\n  a:\n    cost_cap: 5\n    repeat: 2\n    steps: [{STEP}]",
            4,
            "Did you mean `rounds`?",
        ),
        (f"policies:\n  a:\n    cost_cap: 5\n    rounds: 6\n    steps: [{STEP}]", 4, "Write 1–5"),
        (f"policies:\n  a:\n    cost_cap: 5\n    time-cap: 6\n    steps: [{STEP}]", 4, "`time_cap`"),
        (f"policies:\n  a:\n    cost_cap: 5\n    time_cap: 4\n    steps: [{STEP}]", 4, "larger time_cap"),
        (f"policies:\n  a:\n    cost_cap: 5\n    time_cap: 1441\n    steps: [{STEP}]", 4, "0.1 to 1440"),
        ("policies:\n  a:\n    cost_cap: 5\n    steps: Bo", 4, "must be a list"),
        ("policies:\n  a:\n    cost_cap: 5\n    steps: []", 4, "must be a list"),
        ("policies:\n  a:\n    cost_cap: 5\n    steps:\n      - Bo", 5, "A step must hold `whom`"),
        ("policies:\n  a:\n    cost_cap: 5\n    steps:\n    - {by: sms, wait: 5}", 5, "has no `whom`"),
        (
            "policies:\n  a:\n    cost_cap: 5\n    steps:\n    - whom: Bo\n      by: fax\n      wait: 5",
            6,
            "'fax'",
        ),
        (
            "policies:\n  a:\n    cost_cap: 5\n    steps:\n    - whom:\n      by: sms\n      wait: 5",
            5,
            "`whom` must",
        ),
        ("policies:\n  a:\n    cost_cap: 5\n    steps:\n    - {who: Bo, by: sms, wait: 5}", 5, "`whom`?"),
        (
            "policies:\n  a:\n    cost_cap: 5\n    steps:\n    - {whom: Bo, by: [sms, sms], wait: 5}",
            5,
            "once",
        ),
        (
            "policies:\n  a:\n    cost_cap: 5\n    steps:\n    - {whom: Bo, by: sms, wait: soon}",
            5,
            "`wait` must",
        ),
        (
            "policies:\n  a:\n    cost_cap: 5\n    steps:\n    - {whom: Bo, by: sms, wait: 0}",
            5,
            "`wait` must",
        ),
        ("policies:\n  'a b':\n    cost_cap: 5", 2, "letters, digits and hyphens"),
        ("policies:\n  a:\n    x: 1\n  a:\n    x: 1", 4, "stands on line 2 already"),
        ("policies: [\n", 2, "It is not YAML"),
        ("a: \u202eb", 1, "invisible"),
        ("a: &x 1\nb: *x", 1, "Anchors"),
        ("a: 1\nb: !!python/object/apply:os.system [id]", 2, "Tags"),
        ("a: 1\nb: !secret x", 2, "Tags"),
        ("a: 1\n---\nb: 1", 2, "several documents"),
        ("{a: 1}: b", 1, "A key must be a word"),
        ("a: " + "[" * 11, 1, "10 levels"),
    ],
)
def test_a_fault_has_its_line_and_says_what_to_write(text: str, line: int, says: str) -> None:
    assert [found for found in faults(text) if found[0] == line and says in found[1]], faults(text)


def test_all_faults_are_reported_in_the_order_of_the_file() -> None:
    found = faults("language: x\npolicies:\n  a:\n    rounds: 9\n    steps: []\n")
    assert [line for line, _ in found] == [1, 4, 4, 5]


def test_a_policy_with_a_fault_is_not_used_and_the_others_are() -> None:
    text = f"policies:\n  a: {{cost_cap: x, steps: [{STEP}]}}\n  b: {{cost_cap: 5, steps: [{STEP}]}}"
    assert list(read_policies(text.encode()).policies) == ["b"]


def test_a_step_may_text_and_call_in_the_order_that_is_written() -> None:
    text = "policies:\n  a:\n    cost_cap: 5\n    steps:\n    - {{whom: Bo, by: {}, wait: 5}}"
    for by, means in (
        ("call", (Means.CALL,)),
        ("[sms, call]", (Means.SMS, Means.CALL)),
        ("[call, sms]", (Means.CALL, Means.SMS)),
    ):
        found = read_policies(text.format(by).encode())
        assert found.faults == ()
        assert found.policies["a"].steps[0].means == means


@pytest.mark.parametrize(
    "bomb",
    [
        b"a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]",
        b"[" * 50_000,
        b"{a: " * 15_000,
        b"- " * 30_000,
        b"? " * 30_000,
        b"a" * (MOST_YAML_BYTES + 1),
        b"\xff\xfe\x00",
        b"a: \x00",
        b'a: "\\ud800"',
    ],
)
def test_a_hostile_file_is_one_fault(bomb: bytes) -> None:
    found = read_policies(bomb)
    assert found.policies == {}
    assert len(found.faults) == 1


@given(st.text(max_size=200))
def test_any_text_is_read_or_has_faults(text: str) -> None:
    found = read_policies(text.encode("utf-8", "surrogatepass"))
    assert found.policies or found.faults


def test_a_server_uses_no_file_with_faults_and_names_them(tmp_path: Path) -> None:
    path = tmp_path / "paging.yaml"
    path.write_text(GOOD, "utf-8")
    assert list(load_policies(path).policies) == ["jour"]
    path.write_text(GOOD + "languages: sv\n", "utf-8")
    with pytest.raises(Misconfigured, match=r"paging\.yaml:13: .* Did you mean `language`\?"):
        load_policies(path)
    with pytest.raises(Misconfigured, match="cannot be read"):
        load_policies(tmp_path / "none.yaml")
    with pytest.raises(Misconfigured, match="No policy of escalation is configured"):
        load_policies(None)


def test_an_unknown_policy_is_answered_with_the_known_ones() -> None:
    found = read_policies(GOOD.encode())
    assert found.get(" jour ").name == "jour"
    with pytest.raises(InvalidInput, match="There is no policy 'day'"):
        found.get("day")
