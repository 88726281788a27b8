"""Compare the figures of servers that were measured in turns, and write the table."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Self

UNITS = {
    "start": "ms",
    "first call": "ms",
    "processor": "ms",
    "memory": "MiB",
    "memory after a call": "MiB",
    "call": "ms",
    "call p95": "ms",
    "calls a second": "a second",
}
"""The unit of each measured figure."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure of ours beside another server's, with targets; 0 means no target."""

    title: str
    figure: str
    other: str
    most_ratio: float = 0
    least_ratio: float = 0
    most: float = 0

    @property
    def target(self) -> str:
        """The targets in words; "" if there is none."""
        ratios = [("≤", self.most_ratio), ("≥", self.least_ratio)]
        words = [f"{sign} {ratio:.2f} ×" for sign, ratio in ratios if ratio]
        return " and ".join(words + [f"≤ {self.most:g} {UNITS[self.figure]}"] * (self.most > 0))

    def measure_excess(self, ratio: float, amount: float) -> float | None:
        """Return how many times the target was taken: 1 just reaches it; None without a target."""
        shares = [
            ratio / self.most_ratio if self.most_ratio else 0,
            self.least_ratio / ratio,
            amount / self.most if self.most else 0,
        ]
        return round(max(shares), 2) if self.target else None


@dataclass(frozen=True, slots=True)
class Spread:
    """The median, the lowest and the highest of some figures."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Self:
        """Summarize figures."""
        return cls(round(median(figures), 3), round(min(figures), 3), round(max(figures), 3))

    def __str__(self) -> str:
        return f"{_short(self.median)} ({_short(self.least)}–{_short(self.most)})"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report."""

    name: str
    unit: str
    ours: Spread
    compared_with: str
    theirs: Spread
    ratio: Spread
    """The ratio of ours to theirs in each turn, since a busy moment affects both."""

    target: str
    excess: float | None
    """The part of its target that the figure takes: above 1 it misses. None if there is no target."""

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the row in the table."""
        verdict = "" if self.excess is None else "MISSED" if self.excess > 1 else "reached"
        return (
            self.name,
            f"{self.ours} {self.unit}",
            f"{self.compared_with}: {self.theirs}",
            f"{self.ratio.median:.2f} ({self.ratio.least:.2f}–{self.ratio.most:.2f})",
            self.target,
            verdict,
        )


@dataclass(frozen=True, slots=True)
class Samples:
    """The measured figures by subject and server: one for each start or round."""

    figures: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def add(self, what: str, server: str, figure: float) -> None:
        """Add a figure."""
        self.figures.setdefault((what, server), []).append(figure)

    def compare(self, ours: str, comparison: Comparison) -> Row:
        """Compare a figure of ours with another server's."""
        mine, theirs = (self.figures[comparison.figure, name] for name in (ours, comparison.other))
        ratio = Spread.of([one / other for one, other in zip(mine, theirs, strict=True)])
        return Row(
            name=comparison.title,
            unit=UNITS[comparison.figure],
            ours=Spread.of(mine),
            compared_with=comparison.other,
            theirs=Spread.of(theirs),
            ratio=ratio,
            target=comparison.target,
            excess=comparison.measure_excess(ratio.median, median(mine)),
        )


_HEADER = ("figure", "elks-mcp, median (least–most)", "compared with", "ratio (least–most)", "target", "")


def write_table(rows: Sequence[Row]) -> str:
    """Return the table, and which targets were missed."""
    missed = [f"{row.name} (beside {row.compared_with})" for row in rows if (row.excess or 0) > 1]
    words = f"Target missed: {', '.join(missed)}." if missed else "All targets reached."
    return f"{draw([_HEADER, *(row.cells() for row in rows)])}\n\n{words}"


def draw(lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    rule = ["-" * width for width in widths]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [padded[0], rule, *padded[1:]])


def _short(figure: float) -> str:
    return f"{figure:.2f}" if figure < 10 else f"{figure:.0f}"  # noqa: PLR2004
