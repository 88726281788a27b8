"""Write the table at the end of docs/guards.md: the effects and the settings of each guard."""

import re

from error_reference.collecting import ErrorText, collect_texts

from elks_mcp.domain.approval import PERSON_ONLY
from elks_mcp.domain.guards import GUARD_NAMES, NOT_RECHECKED, NOT_SWITCHABLE

_BEGIN = "<!-- The table below is written by scripts/docs.py from the code: `make docs`. -->"
_END = "<!-- The table ends here. -->"
_COLUMNS = (
    "Guard",
    "It can",
    "Settings in its texts",
    "`ELKS_GUARDS_OFF`",
    "Without a client that asks",
    "Runs again",
)


def write_guards(page: str) -> str:
    """Return the page with its table written again."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError("docs/guards.md lacks the marks around its table.")
    return "\n".join([before + _BEGIN, "", *_write_table(), "", _END + after])


def _write_table() -> list[str]:
    texts = collect_texts()
    rows = [_write_row(guard, [each for each in texts if each.kind == guard]) for guard in GUARD_NAMES]
    return [
        f"| {' | '.join(_COLUMNS)} |",
        "|---" * len(_COLUMNS) + "|",
        *rows,
    ]


def _write_row(guard: str, texts: list[ErrorText]) -> str:
    found_effects = {effect for each in texts for effect in each.effects}
    effects = [effect for effect in ("refuse", "ask", "warn") if effect in found_effects]
    found = {name for each in texts for name in re.findall(r"ELKS_[A-Z_]+", f"{each.text} {each.hint}")}
    settings = ", ".join(f"`{name}`" for name in sorted(found))
    switchable = "no" if guard in NOT_SWITCHABLE else "yes"
    alone = ""
    if "ask" in effects:
        alone = "waits for a person" if guard in PERSON_ONLY else "is sent"
    again = "" if guard in NOT_RECHECKED else "yes"
    link = f"[`{guard}`](errors.md#{guard})"
    return f"| {link} | {', '.join(effects)} | {settings} | {switchable} | {alone} | {again} |"
