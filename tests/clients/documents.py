"""Documents as people write them: JSON with comments, in all layouts that clients read."""

import json
from itertools import cycle
from typing import Any

from hypothesis import strategies as st

KEYS = st.text(st.characters(codec="utf-8"), max_size=6)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=8)
) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
SERVERS = st.dictionaries(KEYS.filter(lambda key: key != "sms46elks"), VALUES, max_size=3)
ROOTS = st.dictionaries(KEYS.filter(lambda key: key not in {"mcpServers", "inputs"}), VALUES, max_size=3)

_GAPS = (
    "",
    " ",
    "\n",
    "\r\n\t",
    "// one\n",
    '// "two}, \r\n',
    "/**/",
    "/* three */ ",
    '/* {"four"\n, */',
    "\n  // å /*\n",
)
"""White space and comments, also such as look like something else."""


@st.composite
def layouts(draw: st.DrawFn, value: Any) -> str:
    """Write a value as a person might: with comments, white space and trailing commas anywhere."""
    gaps = draw(st.lists(st.sampled_from(_GAPS), min_size=1, max_size=9))
    around = cycle(gaps)
    trailing = cycle(draw(st.lists(st.sampled_from(["", ","]), min_size=1, max_size=3)))
    is_ascii = draw(st.booleans())

    def gap() -> str:
        return next(around)

    def write(each: Any) -> str:
        if isinstance(each, dict):
            return join("{", [f"{json.dumps(key)}{gap()}:{gap()}{write(each[key])}" for key in each], "}")
        if isinstance(each, list):
            return join("[", list(map(write, each)), "]")
        return json.dumps(each, ensure_ascii=is_ascii)

    def join(opening: str, items: list[str], closing: str) -> str:
        text = ",".join(f"{gap()}{item}{gap()}" for item in items)
        comma = next(trailing) if items else ""
        return f"{opening}{text}{comma}{gap()}{closing}"

    return gap() + write(value) + gap()


@st.composite
def files(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Write a client's file, with or without servers and inputs. Return its text and what it says."""
    said: dict[str, Any] = draw(ROOTS)
    if draw(st.booleans()):
        said["mcpServers"] = draw(SERVERS)
    if draw(st.booleans()):
        said["inputs"] = draw(st.lists(st.fixed_dictionaries({"id": KEYS}), max_size=2))
    return draw(layouts(said)), said
