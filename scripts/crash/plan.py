"""What one lane of the crash test does: how often it kills what, and what it all rests on."""

from dataclasses import dataclass
from random import Random
from typing import Literal

Database = Literal["sqlite", "postgres"]
Transport = Literal["stdio", "http"]

LEASE_SPARE = 5.0
"""Seconds that a lease lasts longer than one request (docs/safety.md)."""

OURS = "+46701740699"
PHONES = tuple(f"+467017406{end}" for end in range(19, 99))
"""They belong to nobody, and none of them does anything odd in the sandbox."""

ANSWERING = PHONES[-6:]
"""Those whose answers somebody waits for."""

PRICE = 5_200
"""Of a text of one part to Sweden, in ten-thousandths."""


_AFFORDABLE = {1: 2.5, 2: 1.6}
"""Texts added to the budget with each kill, by processes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One lane."""

    kills: int
    processes: int
    database: Database
    seed: int
    quiet: float
    """ELKS_QUIET_PERIOD, in seconds."""

    provider_delay: float
    """How many seconds the provider takes at most to accept what it was handed."""

    timeout: float = 1.0
    """ELKS_TIMEOUT, in seconds."""

    per_minute: int = 60
    """ELKS_SMS_PER_MINUTE: little enough that texts queue."""

    transport: Transport = "stdio"

    texts: int = 6
    """Waiting to be asked for at the start of each server, at least."""

    @property
    def lag(self) -> float:
        """How many seconds history may be behind, so that the quiet period still covers it."""
        return min(0.5, max(0.0, self.quiet - self.provider_delay))

    @property
    def lease(self) -> float:
        """How many seconds a claim lasts."""
        return self.timeout + LEASE_SPARE

    @property
    def is_sound(self) -> bool:
        """Whether the quiet period is as long as the guarantee wants it."""
        return self.quiet >= self.provider_delay

    @property
    def name(self) -> str:
        """Say which lane it is."""
        kind = {"sqlite": "SQLite", "postgres": "PostgreSQL"}[self.database]
        over = " over HTTP" if self.transport == "http" else ""
        return f"{self.processes} process{'es' if self.processes > 1 else ''}{over} on {kind}"

    def random(self, purpose: str) -> Random:
        """Give the chances for one purpose: the same for the same seed."""
        return Random(f"{self.seed} {purpose}")  # noqa: S311  (no secret)

    def budget(self, kills: int) -> int:
        """Say what may be spent when so many were killed, in ten-thousandths: less than is asked for."""
        return round(_AFFORDABLE[self.processes] * kills + self.texts) * PRICE
