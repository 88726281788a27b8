"""Read policies of escalation from the tree of a file. Every fault has its line."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from typing import NamedTuple, TypeVar

from elks_mcp.domain.escalation import (
    MOST_ROUNDS,
    MOST_STEPS,
    AckLanguage,
    EscalationPolicy,
    Means,
    PolicyStep,
)
from elks_mcp.domain.money import Money
from elks_mcp.workflows.yaml_files import YamlList, YamlMap, YamlNode, YamlText

MOST_POLICIES = 50
LONGEST_TIME_CAP = timedelta(hours=24)
_USUAL_TIME_CAP = timedelta(hours=2)
_SHORTEST_WAIT, _LONGEST_WAIT = timedelta(seconds=6), timedelta(hours=24)

_NAME = re.compile(r"\w[\w-]{0,63}")
_MINUTES = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,3})?")

Word = TypeVar("Word", bound=StrEnum)


class PolicyFault(NamedTuple):
    """A fault in a policy file, and its line."""

    line: int
    reason: str


@dataclass(slots=True)
class PolicyReader:
    """Reads one file, and collects its faults."""

    faults: list[PolicyFault] = field(default_factory=list)
    lines: dict[tuple[str, int], int] = field(default_factory=dict)
    """The line of each step, by the policy's name and the step's number from 0."""

    def read(self, root: YamlNode) -> dict[str, EscalationPolicy]:
        """Return the policies in a file by their names, without those that have a fault."""
        top = self._read_map(root, "The file", ("policies", "language"), needed=("policies",))
        language = AckLanguage.ENGLISH
        if written := top.get("language"):
            language = self._choose(written, "language", AckLanguage) or language
        return self._read_policies(top.get("policies"), language)

    def _read_policies(self, node: YamlNode | None, language: AckLanguage) -> dict[str, EscalationPolicy]:
        if node is None:
            return {}
        if not isinstance(node, YamlMap) or not node.entries:
            self._add(node, "`policies` must hold at least one policy: a name, and below it `steps`.")
            return {}
        if len(node.entries) > MOST_POLICIES:
            self._add(node, f"It has {len(node.entries)} policies; {MOST_POLICIES} is the most.")
        policies = {}
        for key, value in node.entries:
            if not _NAME.fullmatch(key.text):
                self._add(key, f"The name {key.text!r} must be up to 64 letters, digits and hyphens.")
            before = len(self.faults)
            policy = self._read_policy(key.text, value, language)
            if policy and len(self.faults) == before:
                policies[key.text] = policy
        return policies

    def _read_policy(self, name: str, node: YamlNode, language: AckLanguage) -> EscalationPolicy | None:
        found = self._read_map(
            node,
            f"The policy {name!r}",
            ("steps", "rounds", "cost_cap", "time_cap"),
            needed=("steps", "cost_cap"),
        )
        steps = self._read_steps(name, found.get("steps"))
        rounds = self._read_rounds(found.get("rounds"))
        cost = self._read_cost(found.get("cost_cap"))
        cap = self._readformat_minutes(found.get("time_cap"), "time_cap", LONGEST_TIME_CAP, _USUAL_TIME_CAP)
        if not steps or cost is None or rounds is None or cap is None:
            return None
        policy = EscalationPolicy(
            name=name, steps=steps, rounds=rounds, cost_cap=cost, time_cap=cap, language=language
        )
        if policy.duration > cap:
            self._add(
                found.get("time_cap", node),
                f"The waits of all rounds take {format_minutes(policy.duration)} minutes, and time_cap ends "
                f"the alert after {format_minutes(cap)}. Write a larger time_cap (up to 1440) or shorter "
                "waits.",
            )
        return policy

    def _read_steps(self, name: str, node: YamlNode | None) -> tuple[PolicyStep, ...]:
        if node is None:
            return ()
        if not isinstance(node, YamlList) or not node.items:
            self._add(node, "`steps` must be a list: `- {whom: …, by: sms, wait: 5}`.")
            return ()
        if len(node.items) > MOST_STEPS:
            self._add(node, f"It has {len(node.items)} steps; {MOST_STEPS} is the most.")
        steps = []
        for number, item in enumerate(node.items):
            self.lines[name, number] = item.line
            if step := self._read_step(item):
                steps.append(step)
        return tuple(steps)

    def _read_step(self, node: YamlNode) -> PolicyStep | None:
        keys = ("whom", "by", "wait")
        found = self._read_map(node, "A step", keys, needed=keys)
        whom = self._read_text(
            found.get("whom"), "whom", "a contact's name, a group such as @jour, or a number"
        )
        means = self._read_means(found.get("by"))
        wait = self._readformat_minutes(found.get("wait"), "wait", _LONGEST_WAIT)
        if not whom or not means or wait is None:
            return None
        return PolicyStep(whom=whom, means=means, wait=wait)

    def _read_means(self, node: YamlNode | None) -> tuple[Means, ...]:
        if node is None:
            return ()
        written = node.items if isinstance(node, YamlList) else (node,)
        means = [self._choose(each, "by", Means) for each in written]
        known = tuple(each for each in means if each)
        if not written or len(set(known)) < len(known):
            self._add(node, "`by` must name each means once: sms, call, or [sms, call].")
        return known

    def _read_rounds(self, node: YamlNode | None) -> int | None:
        if node is None:
            return 1
        if isinstance(node, YamlText) and node.text in {str(each) for each in range(1, MOST_ROUNDS + 1)}:
            return int(node.text)
        self._add(node, f"`rounds` says how often the path is gone through. Write 1–{MOST_ROUNDS}.")
        return None

    def _read_cost(self, node: YamlNode | None) -> str | None:
        if node is None:
            return None
        text = node.text if isinstance(node, YamlText) else ""
        try:
            if Money.parse(text).units > 0:
                return text
        except ValueError:
            pass
        self._add(node, "`cost_cap` must be an amount in the account's currency, above 0, such as 25.")
        return None

    def _readformat_minutes(
        self, node: YamlNode | None, key: str, most: timedelta, usual: timedelta | None = None
    ) -> timedelta | None:
        if node is None:
            return usual
        text = node.text if isinstance(node, YamlText) else ""
        if _MINUTES.fullmatch(text) and _SHORTEST_WAIT <= (found := timedelta(minutes=float(text))) <= most:
            return found
        self._add(node, f"`{key}` must be minutes, from 0.1 to {format_minutes(most)}, such as 5.")
        return None

    def _read_text(self, node: YamlNode | None, key: str, what: str) -> str:
        if node is None:
            return ""
        if isinstance(node, YamlText) and node.text.strip():
            return node.text.strip()
        self._add(node, f"`{key}` must be {what}.")
        return ""

    def _choose(self, node: YamlNode, key: str, words: type[Word]) -> Word | None:
        """Return the word that a node is."""
        written = node.text if isinstance(node, YamlText) else ""
        if written in set(words):
            return words(written)
        seen = f", not {written!r}" if written else ""
        self._add(node, f"`{key}` must be {' or '.join(words)}{seen}.")
        return None

    def _read_map(
        self, node: YamlNode, what: str, keys: tuple[str, ...], *, needed: tuple[str, ...]
    ) -> dict[str, YamlNode]:
        """Return the values of a map by key; report unknown and missing keys."""
        if not isinstance(node, YamlMap):
            self._add(node, f"{what} must hold {_list(needed)}, each on a line of its own.")
            return {}
        for key, _ in node.entries:
            if key.text not in keys:
                self._add(key, f"{what} has the unknown key {key.text!r}. {_suggest(key.text, keys)}")
        found = {key.text: value for key, value in node.entries if key.text in keys}
        if missing := [key for key in needed if key not in found]:
            self._add(node, f"{what} has no {_list(missing)}.")
        return found

    def _add(self, node: YamlNode, reason: str) -> None:
        self.faults.append(PolicyFault(node.line, reason))


_OTHER_WORDS = {
    "repeat": "rounds",
    "repeats": "rounds",
    "who": "whom",
    "to": "whom",
    "people": "whom",
    "via": "by",
    "means": "by",
    "delay": "wait",
    "minutes": "wait",
    "cost": "cost_cap",
    "budget": "cost_cap",
    "timeout": "time_cap",
    "lang": "language",
}
"""Words that other programs use, and the key that each means here."""


def _suggest(written: str, keys: tuple[str, ...]) -> str:
    meant = _OTHER_WORDS.get(written.lower())
    if meant in keys:
        return f"Did you mean `{meant}`?"
    if close := get_close_matches(written.lower().replace("-", "_"), keys, n=1):
        return f"Did you mean `{close[0]}`?"
    return f"Known keys: {_list(keys)}."


def _list(keys: Iterable[str]) -> str:
    return ", ".join(f"`{key}`" for key in keys)


def format_minutes(duration: timedelta) -> str:
    """Return a duration in minutes: 5, or 0.5."""
    return f"{duration / timedelta(minutes=1):g}"
