"""Simulated phones in answers: the mode, the page, and what each number does.

46elks is simulated by the sandbox in this process, or by an `elks-mcp sandbox` that the server is pointed at.
"""

from typing import Annotated

from pydantic import Field

from elks_mcp.answers.structured import StructuredAnswer
from elks_mcp.app import App
from elks_mcp.domain.policy import Mode
from elks_mcp.runtime.addresses import find_origin


class SandboxAnswer(StructuredAnswer):
    """The simulated phones."""

    page: Annotated[str | None, Field(description="Where a person sees and answers the phones.")]
    numbers: Annotated[dict[str, str], Field(description="What each phone does.")]

    def in_words(self) -> str:
        """Return where the phones are shown, and what each does."""
        lines = [f"The phones, for a person to see and answer: {self.page}"] if self.page else []
        lines.append("Simulated numbers:")
        return "\n".join([*lines, *(f"- {number}: {does}" for number, does in self.numbers.items())])


_OTHERS = "any other number"


def is_simulated(app: App) -> bool:
    """Return whether texts go to simulated phones, as far as known."""
    return app.policy.simulated or app.client.is_simulated


def find_mode(app: App) -> Mode:
    """Return the destination of texts, as answers name it."""
    return Mode.SANDBOX if is_simulated(app) else app.policy.mode


def find_phones_page(app: App) -> str | None:
    """Return the address of the page that shows the simulated phones; None if there is none."""
    if app.policy.simulated:
        return app.approval_page
    return find_origin(app.configuration.settings.base_url) if app.client.is_simulated else None


def describe_sandbox(app: App) -> SandboxAnswer | None:
    """Return what the simulated phones do; None if texts go to real ones."""
    if not is_simulated(app):
        return None
    from elks_mcp.sandbox import DELIVERS, MAGIC  # noqa: PLC0415  (only a sandbox needs it)

    return SandboxAnswer(
        page=find_phones_page(app),
        numbers={number: does.description for number, does in (*MAGIC.items(), (_OTHERS, DELIVERS))},
    )
