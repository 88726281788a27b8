"""Counters and timings since the start of this process, in the format of Prometheus.

The format is simple (https://prometheus.io/docs/instrumenting/exposition_formats/), so no library is needed.
No label holds a phone number or a text; the only names are those that the operator gave to tokens.
"""

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache

_Labels = tuple[tuple[str, str], ...]

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the histograms' buckets, in seconds."""

_HELP: Mapping[str, str] = {
    "elks_mcp_requests_total": "Accepted requests to /mcp, by the name of their token.",
    "elks_mcp_refused_requests_total": "Refused requests to /mcp and /metrics, by reason.",
    "elks_mcp_tool_calls_total": "Tool calls, by outcome.",
    "elks_mcp_tool_call_duration_seconds": "Duration of tool calls.",
    "elks_mcp_ignored_arguments_total": "Arguments that clients add to tool calls and no tool has, by name.",
    "elks_mcp_guard_refusals_total": "Texts that a guard refused, by guard.",
    "elks_mcp_provider_requests_total": "Requests to 46elks, by outcome.",
    "elks_mcp_provider_request_duration_seconds": "Duration of requests to 46elks.",
    "elks_mcp_webhooks_total": "Received webhooks, by outcome.",
    "elks_mcp_audio_requests_total": "Requests for what calls play, by outcome.",
    "elks_mcp_alert_attempts_total": "People on the path of an alert, by outcome: placed or skipped.",
    "elks_mcp_alerts_total": "Alerts that ended, by outcome; this server was the first to see their end.",
    "elks_mcp_alerts": "Alerts of the last 90 days, by state.",
    "elks_mcp_build_info": "1, with the running versions as labels.",
    "elks_mcp_up": "Whether a part works: 1 or 0.",
    "elks_mcp_listeners": "Streams and subscriptions that wait for changes.",
    "elks_mcp_orders": "Orders of the account, by state.",
    "elks_mcp_queue_depth": "Queued texts.",
    "elks_mcp_queue_oldest_seconds": "Age of the oldest queued text.",
    "elks_mcp_spent_24h": "Cost of the last 24 hours, in the account's currency.",
    "elks_mcp_budget_left": "Rest of the daily budget, in the account's currency.",
}
"""The help text of each metric. docs/metrics.md and deploy/grafana-dashboard.json have them all, too."""


class Counters:
    """Counters and histograms by name and labels."""

    def __init__(self) -> None:
        self._counted: defaultdict[str, Counter[_Labels]] = defaultdict(Counter)
        self._timed: defaultdict[str, dict[_Labels, _Times]] = defaultdict(dict)

    def count(self, name: str, **labels: str) -> None:
        """Add one to a counter."""
        self._counted[name][tuple(labels.items())] += 1

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Add a duration to a histogram."""
        timed, key = self._timed[name], tuple(labels.items())
        if key not in timed:
            timed[key] = _Times()
        timed[key].add(seconds)

    def write(self) -> list[str]:
        """Return all lines."""
        lines = []
        for name, by_labels in sorted(self._counted.items()):
            lines += _head(name, "counter")
            lines += [sample(name, dict(labels), number) for labels, number in sorted(by_labels.items())]
        for name, timed in sorted(self._timed.items()):
            lines += _head(name, "histogram")
            lines += [line for labels in sorted(timed) for line in timed[labels].write(name, labels)]
        return lines


class _Times:
    """One histogram of durations."""

    def __init__(self) -> None:
        self._by_bucket = [0] * (len(_BUCKETS) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        self._by_bucket[bisect_left(_BUCKETS, seconds)] += 1
        self._sum += seconds

    def write(self, name: str, labels: _Labels) -> Iterable[str]:
        total = 0
        for bound, number in zip((*map(repr, _BUCKETS), "+Inf"), self._by_bucket, strict=True):
            total += number
            yield sample(f"{name}_bucket", {**dict(labels), "le": bound}, total)
        yield sample(f"{name}_sum", dict(labels), self._sum)
        yield sample(f"{name}_count", dict(labels), total)


def gauge(name: str, values: Mapping[str, float], label: str = "part") -> list[str]:
    """Return the lines of a gauge with one label; the value of "" gets no label."""
    lines = [sample(name, {label: word} if word else {}, value) for word, value in values.items()]
    return [*_head(name, "gauge"), *lines]


def info(name: str, labels: Mapping[str, str]) -> list[str]:
    """Return the lines of a constant: a gauge of 1 whose labels hold the information."""
    return [*_head(name, "gauge"), sample(name, labels, 1)]


def sample(name: str, labels: Mapping[str, str], value: float) -> str:
    """Return one line."""
    inside = ",".join(f'{label}="{_escaped(word)}"' for label, word in labels.items())
    return f"{name}{{{inside}}} {value!r}" if inside else f"{name} {value!r}"


@lru_cache(maxsize=64)
def as_label(words: str) -> str:
    """Return a phrase as a label's value: `waiting for approval` becomes `waiting_for_approval`."""
    return re.sub("[^a-z0-9]+", "_", words.lower()).strip("_")


def _head(name: str, kind: str) -> list[str]:
    return [f"# HELP {name} {_HELP[name]}", f"# TYPE {name} {kind}"]


def _escaped(word: str) -> str:
    return word.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
