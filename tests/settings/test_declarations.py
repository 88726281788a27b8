"""Each setting is declared once; the policy, the report, the doctor and the docs follow the declaration."""

import re
from pathlib import Path
from typing import Annotated

import pytest

from elks_mcp.cli.doctor_settings import list_values
from elks_mcp.domain.policy import OperatorRules, Policy
from elks_mcp.domain.setting_declaration import RuleSetting, Setting, find_declarations
from elks_mcp.settings import DECLARATIONS, NAMES, Settings, load

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"
SET = {
    "ELKS_PHONE_NUMBER": "Klara",
    "DRY_RUN": "false",
    "ELKS_READ_ONLY": "true",
    "ELKS_CONFIRM": "always",
    "ELKS_ALLOWED_COUNTRIES": "NO",
    "ELKS_ALLOWED_RECIPIENTS": "+46701740605",
    "ELKS_ALLOWED_SENDERS": "Kliniken",
    "ELKS_MAX_PARTS": "3",
    "ELKS_BUDGET_PER_MESSAGE": "1",
    "ELKS_BUDGET_PER_DAY": "20",
    "ELKS_MAX_PER_NUMBER": "2",
    "ELKS_MAX_BATCH": "50",
    "ELKS_ASK_FROM": "5",
    "ELKS_LATEST": "30",
    "ELKS_GUARDS_OFF": "night",
    "ELKS_INBOUND": "known",
    "ELKS_SHOW_NUMBERS": "false",
    "ELKS_SIGNATURE": "Kliniken",
    "ELKS_TOOLSETS": "sms",
    "ELKS_SMS_PER_MINUTE": "10",
    "ELKS_QUIET_PERIOD": "60",
    "ELKS_DONTLOG": "true",
}
"""A value for each rule, other than its default."""

ALL = SET | {"ELKS_PUBLIC_URL": "https://sms.example.com"}
"""The same, with the setting that one of them needs."""


def test_a_setting_without_a_declaration_is_refused() -> None:
    class Grown(Settings):
        undeclared: int = 1

    with pytest.raises(TypeError, match=r"Grown\.undeclared has 0 declarations"):
        find_declarations(Grown)


def test_a_setting_with_two_declarations_is_refused() -> None:
    class Grown(Settings):
        doubled: Annotated[int, Setting("ELKS_ONE"), Setting("ELKS_TWO")] = 1

    with pytest.raises(TypeError, match=r"Grown\.doubled has 2 declarations"):
        find_declarations(Grown)


def test_no_variable_is_declared_twice() -> None:
    assert len(NAMES) == len(DECLARATIONS)


def test_every_rule_has_a_value_in_this_test() -> None:
    assert SET.keys() == {each.variable for each in DECLARATIONS.values() if isinstance(each, RuleSetting)}


def test_a_value_that_is_set_reaches_the_policy_unchanged() -> None:
    configuration = load(ALL)
    settings, policy = configuration.settings, configuration.policy
    assert Policy.model_fields.keys() == OperatorRules.model_fields.keys()
    for name, field in Policy.model_fields.items():
        assert getattr(policy, name) == getattr(settings, name), name
        assert getattr(policy, name) != field.default or DECLARATIONS[name].variable not in SET, name


def test_the_report_lists_every_rule_with_its_value() -> None:
    rules = load(ALL).list_rules(load(ALL).policy, "SEK")
    defaults = load({}).list_rules(load({}).policy, "SEK")
    assert {rule.variable for rule in rules} == SET.keys()
    assert all(rule.title and rule.value and rule.is_set for rule in rules)
    changed = dict(zip(rules, defaults, strict=True))
    assert all(rule.value != default.value and not default.is_set for rule, default in changed.items())


def test_the_doctor_lists_every_rule_that_is_set() -> None:
    lines = " ".join(check.text for check in list_values(load(ALL)))
    assert re.findall(r"(\w+) = ", lines) == [name for name in NAMES if name in ALL]
    assert "ELKS_ALLOWED_RECIPIENTS = +4670*****05" in lines
    assert "ELKS_BUDGET_PER_DAY = 20.00" in lines


def test_the_documents_explain_every_setting() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .*? \| (.+) \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert [variable for variable, _ in rows] == list(NAMES)
    assert all(len(meaning) > 20 and meaning.endswith(".") for _, meaning in rows)
