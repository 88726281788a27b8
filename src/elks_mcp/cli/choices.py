"""Options that take one of several words, and suggest the word that was probably meant."""

from difflib import get_close_matches
from typing import Any

import click


class Words(click.Choice[str]):
    """A choice of words. The error about another word suggests the nearest one."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """Return the error about a word that is not among the choices."""
        message = super().get_invalid_choice_message(value, ctx)
        nearest = get_close_matches(str(value).lower(), self.choices, n=1)
        return f"{message} Did you mean {nearest[0]!r}?" if nearest else message
