"""Write docs/errors.md: every error text of the package, by topic, with what to do."""

import re
from collections.abc import Iterator

from elks_mcp import errors
from elks_mcp.domain.guards import GUARD_NAMES
from elks_mcp.errors import ElksError
from error_reference.collecting import ErrorText, collect_texts
from error_reference.topics import TOPICS, Topic, find_own_remedy, find_remedy, find_topic

CLASSES: dict[str, type[ElksError]] = {
    name: each
    for name, each in vars(errors).items()
    if isinstance(each, type) and issubclass(each, ElksError) and each is not ElksError
}

_VERBS = (
    "add ask call change check choose close convert correct create delete do encode end exchange export give "
    "install keep leave list look make move name open plan point put raise rename repeat remove reset "
    "restart restore retrying run save say send set shorten show start switch take tell text top try turn "
    "type unset update upgrade use wait write"
)
_ADVICE = re.compile(
    rf"(?:^|[].,:;?] |or |and )(?:{'|'.join(_VERBS.split())})\b|\bcan (?!not)\w+|`elks-mcp|`chmod"
    r"|To [a-z ]+:",
    re.IGNORECASE | re.MULTILINE,
)
_SHOWS_HOW = re.compile(
    r"They are|It is|It looks like|\w+ there:|Its arguments|The \w+ are:|An? \w+ is|.* names another"
)
"""The start of a hint that shows how something is written, or which things there are."""


def advises(text: ErrorText) -> bool:
    """Return whether a text says what to do: itself, by its hint, or by what its class says."""
    retry = CLASSES[text.kind].retry if text.kind in CLASSES else ""
    says_when = retry if re.search("again in|later", retry) else ""
    return bool(_ADVICE.search(f"{text.text}\n{text.hint}\n{says_when}") or _SHOWS_HOW.match(text.hint))


def write_errors() -> str:
    """Return the page."""
    found: dict[Topic, list[ErrorText]] = {topic: [] for topic in TOPICS}
    for text in collect_texts():
        found[find_topic(text.module, text.kind)].append(text)
    sections = [line for topic in TOPICS for line in _write_topic(topic, found[topic])]
    return "\n".join([_INTRODUCTION, *sections, *_write_codes()])


_INTRODUCTION = """\
# Error messages

Every message of elks-mcp that says what is wrong, with what to do about it. To find yours, paste it into the
search of the site, or search this page for some words of it.

- `{…}` stands for a value: a number, a name, a file. `[a / b]` stands for one of several wordings.
- An answer begins with its status. **Not sent** means that nothing was sent. **Queued** means that it is sent
  automatically, and **In doubt** and **Unknown** mean that it may have been sent: do not send it again.
- A message of the server ends with whether trying again helps. [Codes](#codes) says it for each kind.
- [Troubleshooting](troubleshooting.md) is for a client that shows no tools, and for a text that does not
  arrive.
"""


def _write_topic(topic: Topic, texts: list[ErrorText]) -> Iterator[str]:
    yield from (f"## {topic.title}", "", topic.introduction, "")
    if topic.title == "Guards":
        for guard in GUARD_NAMES:
            own = [each for each in texts if each.kind == guard]
            yield from (f"### `{guard}`", "", *_write_entries(topic, own), "")
    else:
        yield from (*_write_entries(topic, texts), "")


def _write_entries(topic: Topic, texts: list[ErrorText]) -> list[str]:
    entries = dict.fromkeys(_write_entry(topic, each) for each in texts)
    return list(entries)


def _write_entry(topic: Topic, text: ErrorText) -> str:
    own = find_own_remedy(text.text)
    remedies = [_EFFECTS.get(" ".join(sorted(text.effects)), ""), own or write_prose(text.hint)]
    if text.effects and not own and text.effects != {"warn"}:
        remedies.append(dict(topic.remedies).get(text.kind) or ("" if advises(text) else topic.remedy))
    elif not text.effects and not own and not advises(text._replace(kind="")):
        remedies.append(find_remedy(text.module, text.kind))
    if kind := CLASSES.get(text.kind):
        remedies.append(f"[`{kind.code}`](#{kind.code})")
    return " ".join(" ".join(["-", f"**{write_code(text.text)}**", *remedies]).split())


_EFFECTS = {
    "ask": "A person is asked.",
    "refuse": "Nothing was sent.",
    "refuse warn": "Nothing was sent, or it is only a warning.",
    "warn": "It is only a warning.",
}


def _write_codes() -> Iterator[str]:
    yield from ("## Codes", "", _CODES, "")
    for name, each in CLASSES.items():
        cause = " ".join((each.__doc__ or name).split())
        lines = [cause, write_prose(each.default_hint), each.retry]
        yield from (f"### `{each.code}`", "", write_prose(" ".join(line for line in lines if line)), "")


_CODES = """\
Each error of the server has a code. It is in the log and the metrics, and it is `error` in the `--json`
output of a command. Below are the causes, and whether trying again helps."""


def write_code(text: str) -> str:
    """Return a text as code of Markdown."""
    text = " ".join(text.split())
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def write_prose(text: str) -> str:
    """Return a text as Markdown that shows what it says: values and variables as code."""
    pieces = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(piece if piece.startswith("`") else _write_plain(piece) for piece in pieces)


def _write_plain(text: str) -> str:
    parts = enumerate(_SHOWN_AS_CODE.split(text))
    return "".join(f"`{part}`" if number % 2 else _SPECIAL.sub(r"\\\1", part) for number, part in parts)


_SHOWN_AS_CODE = re.compile(
    r"(\{+[^{}]*\}+|\b(?:ELKS_[A-Z_]+|DRY_RUN)(?:=[\w-]+)?|--[a-z][\w-]*(?: [A-Z]+)?|\w+://[^\s;]*\w|\w*_\w+)"
)
_SPECIAL = re.compile(r"([\[\]<*])")
