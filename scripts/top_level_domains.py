"""Write `domain/guards/top_level_domains.py` from the Public Suffix List.

    uv run --with publicsuffixlist python scripts/top_level_domains.py

The ICANN section of this list has every top-level domain of IANA's root zone database, in its own
letters rather than as `xn--`. The PyPI package contains a dated copy, so no other host is needed.
"""

import re
import sys
import textwrap
from importlib.resources import files
from pathlib import Path

_MODULE = Path(__file__).parent.parent / "src" / "elks_mcp" / "domain" / "guards" / "top_level_domains.py"
_WIDTH = 100


def main() -> int:
    """Write the module."""
    suffixes = files("publicsuffixlist").joinpath("public_suffix_list.dat").read_text(encoding="utf-8")
    _MODULE.write_text(write_module(suffixes), encoding="utf-8", newline="\n")
    return 0


def write_module(suffixes: str) -> str:
    """Return the module for the text of a Public Suffix List."""
    version = re.search(r"^// VERSION: (\d{4}-\d\d-\d\d)", suffixes, re.MULTILINE)
    icann = suffixes.partition("BEGIN ICANN DOMAINS===")[2].partition("// ===END ICANN DOMAINS")[0]
    rules = [line.strip() for line in icann.splitlines() if line.strip() and not line.startswith("//")]
    names = sorted({rule.rpartition(".")[2].lstrip("!") for rule in rules})
    if version is None or not {"com", "se", "рф"} <= set(names):
        raise SystemExit("This is not a Public Suffix List.")
    return _TEMPLATE.format(date=version[1], names="\n".join(_lines(names)))


def _lines(names: list[str]) -> list[str]:
    """Wrap the names; letters of other alphabets can be twice as wide."""
    latin = [name for name in names if name.isascii()]
    others = [name for name in names if not name.isascii()]
    return textwrap.wrap(" ".join(latin), _WIDTH) + textwrap.wrap(" ".join(others), _WIDTH // 2)


_TEMPLATE = '''"""All top-level domains, as of {date}.

Written by scripts/top_level_domains.py from the ICANN section of the Public Suffix List
(https://publicsuffix.org, MPL 2.0), which has the names of IANA's root zone database. CONTRIBUTING
explains how to update it. `links` imports it when a text first has a dot between letters.
"""

_NAMES = """
{names}
"""

TOP_LEVEL_DOMAINS = frozenset(_NAMES.split())
"""In lower case; those of other alphabets in their own letters, without `xn--`."""
'''


if __name__ == "__main__":
    sys.exit(main())
