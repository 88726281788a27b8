"""The answer about the account's balance."""

from typing import Annotated

from pydantic import Field

from elks_mcp.answers.structured import Answer, MoneyField
from elks_mcp.domain.wording import format_money


class BalanceAnswer(Answer):
    """The account's balance."""

    balance: MoneyField
    texts_left: Annotated[
        int | None,
        Field(description="About how many parts it pays for, by the last price seen; null if none was seen."),
    ]

    def in_words(self) -> str:
        """Return the balance, and about how many texts it pays for."""
        worth = (
            ""
            if self.texts_left is None
            else f", about {self.texts_left} texts of one part by the last price seen"
        )
        return f"Balance: {format_money(self.balance)}{worth}."
