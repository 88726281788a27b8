"""A cap that lets nothing through: `cap set 0` and `cap stop`."""

from pathlib import Path

import pytest

from tests.cli.test_caps import KRONOR, PASSWORD, Operator, examined, operator, plain
from tests.support.connecting import PHONE

__all__ = ["operator"]


@pytest.mark.parametrize("options", [[], ["--monthly"]])
@pytest.mark.parametrize("amount", ["0", "0.00"])
@pytest.mark.parametrize("is_capped", [True, False])
def test_a_cap_of_0_is_refused_since_it_may_mean_none(
    operator: Operator, options: list[str], amount: str, *, is_capped: bool
) -> None:
    operator.box.rules.zero_is_no_limit = True
    if is_capped:
        operator.run("cap", "set", "100", "--yes")
    result = operator.run("cap", "set", amount, *options, "--yes", typed=f"{PASSWORD}\n")
    assert result.exit_code == 2
    assert "An amount of 0 caps nothing for certain" in plain(result)
    assert "cap stop" in plain(result)
    assert [each.usage_limit for each in operator.box.subaccounts] == ([100 * KRONOR] if is_capped else [])


def test_the_doctor_warns_of_a_limit_of_0(operator: Operator, stand_in: Path) -> None:
    operator.run("cap", "set", "100", "--yes")
    operator.capped.usage_limit = 0
    assert "warn 46elks itself may cap nothing: the limit is 0" in examined(operator)[1]


def test_stop_names_the_subaccount_and_that_the_settings_use_it(operator: Operator) -> None:
    operator.run("cap", "set", "100", "--yes")
    result = operator.run("cap", "stop", typed=f"{PASSWORD}\n")
    assert result.exit_code == 0, result.output
    assert f"{operator.capped.id} (elks-mcp): 46elks itself refuses everything that costs" in plain(result)
    assert "The settings in force use it." in plain(result)


def test_stop_fails_if_the_server_goes_on_with_the_credentials_of_the_account(operator: Operator) -> None:
    made = operator.elks.run_command("cap", "set", "100", "--yes")
    assert made.exit_code == 0, "the credentials are printed, and not copied into the file"
    result = operator.run("cap", "stop")
    assert operator.capped.usage_limit == 1
    assert result.exit_code == 1
    said = plain(result)
    assert f"{operator.capped.id} (elks-mcp): 46elks itself refuses everything that costs" in said
    assert "The settings in force do not use this subaccount. They have the account's own credentials" in said
    assert "To stop such a server, end it" in said
    assert operator.run("send", PHONE, "Hej", "--yes").exit_code == 0
    assert len(operator.box.accepted) == 1, "as it says"


def test_stop_fails_if_the_settings_use_another_subaccount_or_none(operator: Operator) -> None:
    operator.run("cap", "set", "100", "--yes")
    other = operator.box.subaccounts.add("Butiken", operator.box.clock.now())
    result = operator.run("cap", "stop", "--subaccount", other.id, typed=f"{PASSWORD}\n")
    assert (result.exit_code, other.usage_limit) == (1, 1), result.output
    assert f"{other.id} (Butiken): 46elks itself refuses everything" in plain(result)
    used = next(each for each in operator.box.subaccounts if each is not other)
    assert f"They have the credentials of another subaccount, {used.id}" in plain(result)
    assert used.usage_limit == 100 * KRONOR
    operator.file.write_text("", encoding="utf-8")
    typed = f"{operator.box.username}\n{PASSWORD}\n"
    bare = operator.run("cap", "stop", "--subaccount", other.id, typed=typed)
    assert (bare.exit_code, "They have no credentials" in plain(bare)) == (1, True), bare.output
