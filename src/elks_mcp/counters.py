"""What happened since this process began, counted; written the way Prometheus reads it.

The format is small enough to write: https://prometheus.io/docs/instrumenting/exposition_formats/. No label
holds a number, a text or a name.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping

_Labels = tuple[tuple[str, str], ...]


class Counters:
    """Counts by name and labels."""

    def __init__(self) -> None:
        self._counted: defaultdict[str, Counter[_Labels]] = defaultdict(Counter)

    def count(self, name: str, **labels: str) -> None:
        """Count one more."""
        self._counted[name][tuple(labels.items())] += 1

    def write(self) -> list[str]:
        """Write all lines."""
        return [
            line
            for name, by_labels in sorted(self._counted.items())
            for line in [
                f"# TYPE {name} counter",
                *(sample(name, dict(labels), number) for labels, number in sorted(by_labels.items())),
            ]
        ]


def gauge(name: str, values: Mapping[str, float], label: str = "part") -> list[str]:
    """Write a gauge by one label; a value under "" has none."""
    lines = [sample(name, {label: word} if word else {}, value) for word, value in values.items()]
    return [f"# TYPE {name} gauge", *lines]


def sample(name: str, labels: Mapping[str, str], value: float) -> str:
    """Write one line."""
    inside = ",".join(f'{label}="{_escaped(word)}"' for label, word in labels.items())
    return f"{name}{{{inside}}} {value!r}" if inside else f"{name} {value!r}"


def _escaped(word: str) -> str:
    return word.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
