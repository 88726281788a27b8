"""A cap that lets nothing through: `cap set 0` and `cap stop`."""

from pathlib import Path

import pytest

from tests.cli.test_caps import KRONOR, PASSWORD, Operator, examined, operator, plain

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
