"""The plan of one lane: how often it kills which servers, and under which conditions."""

from dataclasses import dataclass
from random import Random
from typing import Literal

Database = Literal["sqlite", "postgres"]
Transport = Literal["stdio", "http"]

LEASE_SPARE = 5.0
"""Seconds that a lease lasts longer than one request (docs/safety.md)."""

OURS = "+46701740699"
PHONES = tuple(f"+467017406{end}" for end in range(19, 99))
"""They reach no phone, and none of them has a special meaning in the sandbox."""

ANSWERING = PHONES[-6:]
"""The phones whose answers callers wait for."""

PRICE = 5_200
"""The price of a text of one part to Sweden, in ten-thousandths."""


_AFFORDABLE = {1: 2.5, 2: 1.6}
"""Texts added to the budget with each kill, by processes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of one lane."""

    kills: int
    processes: int
    database: Database
    seed: int
    quiet: float
    """ELKS_QUIET_PERIOD, in seconds."""

    provider_delay: float
    """The seconds that the provider takes at most to accept a text that it received."""

    timeout: float = 1.0
    """ELKS_TIMEOUT, in seconds."""

    per_minute: int = 60
    """ELKS_SMS_PER_MINUTE: low enough that texts queue."""

    transport: Transport = "stdio"

    texts: int = 6
    """The least number of texts to ask for at the start of each server."""

    rows: int = 0
    """The rows of each batch; 0 for a lane of single texts."""

    alerts: bool = False
    """Whether it is a lane of alerts."""

    @property
    def lag(self) -> float:
        """The seconds that history may be behind, so that the quiet period still covers it."""
        return min(0.5, max(0.0, self.quiet - self.provider_delay))

    @property
    def lease(self) -> float:
        """The seconds that a claim lasts."""
        return self.timeout + LEASE_SPARE

    @property
    def is_sound(self) -> bool:
        """Whether the quiet period is as long as the guarantee requires."""
        return self.quiet >= self.provider_delay

    @property
    def name(self) -> str:
        """The name of the lane in reports."""
        kind = {"sqlite": "SQLite", "postgres": "PostgreSQL"}[self.database]
        over = " over HTTP" if self.transport == "http" else ""
        rows = f", {self.rows:,} rows" if self.rows else ", alerts" if self.alerts else ""
        return f"{self.processes} process{'es' if self.processes > 1 else ''}{over}{rows} on {kind}"

    def random(self, purpose: str) -> Random:
        """Return a random generator for one purpose: the same for the same seed."""
        return Random(f"{self.seed} {purpose}")  # noqa: S311  (no secret)

    def budget(self, kills: int) -> int:
        """Return the budget after `kills` kills, in ten-thousandths: less than is asked for."""
        return round(_AFFORDABLE[self.processes] * kills + self.texts) * PRICE
