"""The cap that 46elks enforces: what it is, and what it has to be set to."""

import pytest

from elks_mcp.domain.money import Money
from elks_mcp.domain.subaccounts import Subaccount, find_limit, find_stop, is_main_account, is_subaccount

A = "a" + "1" * 32


def kronor(amount: str) -> Money:
    return Money.parse(amount, "SEK")


def test_a_username_says_whether_it_is_a_subaccounts() -> None:
    assert is_subaccount(A)
    assert is_main_account("u" + "1" * 32)
    assert not is_subaccount("u" + "1" * 32)
    assert not is_subaccount("anna")
    assert not is_main_account("ulla")


MAY_BE_NONE = "46elks itself may cap nothing: the limit is 0, which may mean none."
STOP = "the command that stops everything"
REFUSES = "46elks itself refuses everything that costs"


@pytest.mark.parametrize(
    ("limit", "used", "said"),
    [
        ("100", "37", "46elks itself stops at 100.00 SEK. 37.00 SEK is used, 63.00 SEK is left."),
        ("37", "37", f"{REFUSES}: the limit of 37.00 SEK is used up (37.00 SEK used)."),
        ("37.0099", "37", f"{REFUSES}: the limit of 37.0099 SEK is used up (37.00 SEK used)."),
        ("37.01", "37", "46elks itself stops at 37.01 SEK. 37.00 SEK is used, 0.01 SEK is left."),
        ("0", "37", f"{MAY_BE_NONE} 37.00 SEK is used. Set another limit, or use {STOP}."),
        ("1", "37", f"{REFUSES}: the limit of 1.00 SEK is used up (37.00 SEK used)."),
        ("", "37", "46elks itself caps nothing: the subaccount has no limit. It has used 37.00 SEK."),
    ],
)
def test_the_cap_is_said_in_one_sentence(limit: str, used: str, said: str) -> None:
    capped = Subaccount(id=A, limit=kronor(limit) if limit else None, used=kronor(used))
    assert capped.explain() == said


def test_a_limit_of_0_is_not_trusted_to_refuse_everything() -> None:
    assert not Subaccount(id=A, limit=kronor("0"), used=kronor("37")).refuses_all
    assert Subaccount(id=A, limit=kronor("0"), is_active=False).refuses_all
    assert Subaccount(id=A, limit=kronor("0.0001")).refuses_all


def test_a_deactivated_subaccount_sends_nothing() -> None:
    assert "deactivated" in Subaccount(id=A, is_active=False).explain()


def test_a_month_is_added_to_what_was_spent_since_46elks_counts_for_ever() -> None:
    assert find_limit(kronor("37"), kronor("100"), monthly=True) == kronor("137")
    assert find_limit(kronor("37"), kronor("100"), monthly=False) == kronor("100")


def test_the_limit_that_stops_is_what_was_spent_and_never_0() -> None:
    assert find_stop(kronor("37")) == kronor("37")
    assert find_stop(kronor("0")) == Money(1, "SEK")
