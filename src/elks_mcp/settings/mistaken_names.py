"""Names of variables that look like settings of this server and are not."""

import re
from collections.abc import Iterable, Mapping

_MISTAKES = {
    "ELKS_API_USER": "ELKS_API_USERNAME",
    "ELKS_USERNAME": "ELKS_API_USERNAME",
    "ELKS_USER": "ELKS_API_USERNAME",
    "ELKS_PASSWORD": "ELKS_API_PASSWORD",
    "ELKS_API_PASS": "ELKS_API_PASSWORD",
    "ELKS_FROM": "ELKS_PHONE_NUMBER",
    "ELKS_DRY_RUN": "DRY_RUN",
    "DRYRUN": "DRY_RUN",
    "ELKS_ALLOWED_NUMBERS": "ELKS_ALLOWED_RECIPIENTS",
}
"""Common mistakes, each with the name that is meant."""

_SOUNDS_LIKE_A_LIMIT = re.compile(
    "BUDGET|LIMIT|MAX|ALLOW|DENY|BLOCK|CONFIRM|READ_?ONLY|DRY_?RUN|SENDER|RECIPIENT|TOOLSET|INBOUND"
)
"""A limit that is misspelled, or that this version does not have, must not appear to be in force."""


def sort_out_names(
    present: Iterable[str], known: frozenset[str]
) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Return the mistaken names, and the unknown names.

    A mistaken name is mapped to the name that is meant, or to "" if none is similar.

    `present`: the names of all variables that are set. `known`: the names of settings, with and without
    `_FILE`.
    """
    candidates = [name for name in sorted(present) if name.startswith("ELKS_") or name in _MISTAKES]
    meanings = {name: _find_meant(name, known) for name in candidates if name not in known}
    mistaken = {name: meant for name, meant in meanings.items() if meant is not None}
    return mistaken, tuple(name for name in meanings if name not in mistaken)


def _find_meant(name: str, known: frozenset[str]) -> str | None:
    if name in _MISTAKES:
        return _MISTAKES[name]
    import difflib  # noqa: PLC0415  (only needed if a name is mistaken)

    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.85)
    if near:
        return near[0]
    return "" if _SOUNDS_LIKE_A_LIMIT.search(name) else None


def explain_mistake(wrong: str, right: str) -> str:
    """Explain a mistaken name; `right` is the name that is meant, or "" if none is near."""
    if right:
        return f"{wrong} is set, but the name is {right}."
    return f"{wrong} is set, but this version has no such setting, so it has no effect. Unset it."


def explain_unexpanded(name: str) -> str:
    """Explain that a variable counts as unset because the client left it unexpanded."""
    return f"{name} is a variable that your client did not expand (${{…}}), so it counts as unset."
