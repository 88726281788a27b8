"""The verdicts as text for people."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

Found = dict[str, Any]
"""A verdict in JSON form."""

_WIDTH, _COLUMN = 34, 26


def write_report(lanes: Sequence[Found], counterproof: Found | None) -> str:
    """Return a table of all lanes, and the conditions of the result."""
    batches = [lane for lane in lanes if _has_batches(lane)]
    alerts = [lane for lane in lanes if "alerts" in lane["figures"]]
    others = [lane for lane in lanes if lane not in (*batches, *alerts)]
    parts = [_table(same) for same in (others, batches, alerts) if same]
    parts += [_details(lanes), _conditions(lanes[0])]
    if counterproof:
        parts.append(_proof_that_it_can_fail(counterproof))
    return "\n\n".join(part for part in parts if part)


def _has_batches(lane: Found) -> bool:
    return "batches" in lane["figures"]


def _table(lanes: Sequence[Found]) -> str:
    heads = [lane["lane"].split(" on ") for lane in lanes]
    rows = [
        _row("", [head[0] for head in heads]),
        _row("", [f"on {head[1]}" for head in heads]),
        *_rows(lanes, "figures"),
        _row("seconds", [f"{lane['seconds']:.0f}" for lane in lanes]),
        "",
        "Must be 0:",
        *_rows(lanes, "violations"),
    ]
    return "\n".join(rows)


def _rows(lanes: Sequence[Found], kind: str) -> list[str]:
    """Return a row for each figure; 0 for a lane in which that change was never made."""
    names = dict.fromkeys(name for lane in lanes for name in lane[kind])
    return [_row(name, [f"{lane[kind].get(name, 0):,}" for lane in lanes]) for name in names]


def _row(name: str, cells: Sequence[str]) -> str:
    return f"{name:<{_WIDTH}}{''.join(f'{cell:>{_COLUMN}}' for cell in cells)}".rstrip()


def _details(lanes: Sequence[Found]) -> str:
    found = [f"{lane['lane']}, seed {lane['seed']}: {each}" for lane in lanes for each in lane["details"]]
    return "\n".join(["VIOLATIONS", *found]) if found else ""


def _conditions(lane: Found) -> str:
    return _filled(f"""
        Conditions: a text is sent again only after 46elks' history was read twice without it, the
        first time when the quiet period after the attempt was over. Here that is {lane["quiet"]:g} s
        (ELKS_QUIET_PERIOD; 120 s unless set). The simulated 46elks accepted texts within
        {lane["provider_delay"]:g} s, and its history was {lane["lag"]:g} s behind at most. If 46elks took
        longer than the quiet period, that would look as if it had lost the text, and a text could go out
        twice.
    """)


def _filled(words: str) -> str:
    return fill(" ".join(words.split()), 100)


def _proof_that_it_can_fail(lane: Found) -> str:
    found = lane["violations"]["duplicates"]
    verdict = (
        f"{found} duplicates, as it must be." if found else "no duplicates, SO THIS TEST PROVES NOTHING."
    )
    return _filled(f"""
        Can it fail? With a quiet period of {lane["quiet"]:g} s, a 46elks that takes up to
        {lane["provider_delay"]:g} s, and {lane["figures"]["kills"]} kills: {verdict}
    """)
