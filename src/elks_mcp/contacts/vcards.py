"""Read vCards 2.1, 3.0 and 4.0, as phones, Apple, Google and Nextcloud write them."""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from elks_mcp.contacts.entries import ContactEntry, Phone, Place, Remark
from elks_mcp.errors import Misconfigured
from elks_mcp.spreadsheets.decoding import UnreadableFile, decode

_BEGIN = re.compile(rb"^(?:\xef\xbb\xbf)?BEGIN:VCARD[ \t]*$", re.IGNORECASE | re.MULTILINE)
_END = re.compile(r"^END:VCARD[ \t]*$", re.IGNORECASE | re.MULTILINE)

_VALUE = r'(?:"[^"\n]*"|[^";:,\n]*)'
_HEAD = re.compile(rf"(?:[\w-]+\.)?(?P<name>[\w-]+)(?:;[\w-]+(?:={_VALUE}(?:,{_VALUE})*)?)*:", re.ASCII)
"""A property up to its colon. vobject needs exponential time for a line that does not fit this."""

_USED = {"FN", "N", "TEL", "NICKNAME", "ORG", "CATEGORIES", "KIND", "MEMBER", "UID", "X-ABLABEL"}
_USED |= {"X-ADDRESSBOOKSERVER-KIND", "X-ADDRESSBOOKSERVER-MEMBER"}
_MOST_ALIKE, _MOST_MEMBERS = 1_000, 50_000
"""Lines of one kind in a card."""

_NOT_A_LABEL = frozenset({"voice", "pref", "text", "msg", "video", "internet", "pcs", "x-voice"})

Property = Any
"""vobject's ContentLine."""


def read_vcards(content: bytes, file: str) -> Iterator[ContactEntry | Remark]:
    """Read the cards of a file. A card that cannot be read becomes a remark.

    Raises:
        UnreadableFile: the file holds no card.
        Misconfigured: the package vobject is not installed.
    """
    parse = _load_parser()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        content = decode(content).encode()
    content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    starts = [found.start() for found in _BEGIN.finditer(content)]
    if not starts:
        raise UnreadableFile("It contains no vCard.")
    line, counted = 1, 0
    for number, (start, end) in enumerate(pairwise([*starts, len(content)]), 1):
        line, counted = line + content.count(b"\n", counted, start), start
        place = Place(file, f"card {number} (line {line})")
        try:
            yield _read_card(decode(content[start:end]), place, parse)
        except (UnreadableFile, ValueError, LookupError) as error:
            reason = str(error) if isinstance(error, UnreadableFile) else "It is damaged."
            yield Remark(place, reason)


def _load_parser() -> Callable[[str], Property]:
    try:
        from vobject.base import textLineToContentLine  # noqa: PLC0415  (slow, and only for vCards)
    except ImportError:
        raise Misconfigured(
            "The package vobject, which reads .vcf files, is not installed.",
            hint="Install elks-mcp with its extra `contacts` (docs/contacts.md), or use a .csv file.",
        ) from None
    parser: Callable[[str], Property] = textLineToContentLine
    return parser


def _read_card(text: str, place: Place, parse: Callable[[str], Property]) -> ContactEntry:
    ends = _END.search(text)
    if not ends:
        raise UnreadableFile("The card has no END:VCARD.")
    properties: dict[str, list[Property]] = {}
    for line in _unfold(text[: ends.start()]):
        head = _HEAD.match(line)
        if head and head["name"].upper() in _USED:
            found = parse(head[0].upper() + line[head.end() :])
            properties.setdefault(found.name, []).append(found)
            if len(properties[found.name]) > (_MOST_MEMBERS if "MEMBER" in found.name else _MOST_ALIKE):
                raise UnreadableFile("The card has too many lines of one kind.")
        elif not head and re.match(r"(?:[\w-]+\.)?(?:TEL|FN|N)[;:]", line, re.IGNORECASE | re.ASCII):
            raise UnreadableFile("A name or a number of the card cannot be read.")
    return _build_entry(properties, place)


def _unfold(text: str) -> Iterator[str]:
    """Give each logical line: folded lines, and lines that quoted-printable broke, as one."""
    parts: list[str] = []
    is_quoted = False
    for line in text.split("\n"):
        if is_quoted and parts[-1].endswith("="):
            parts.append(f"\n{line}")
        elif line.startswith((" ", "\t")) and parts:
            parts.append(line[1:])
        else:
            yield "".join(parts)
            parts = [line]
            is_quoted = "QUOTED-PRINTABLE" in line.partition(":")[0].upper()
    yield "".join(parts)


def _build_entry(properties: dict[str, list[Property]], place: Place) -> ContactEntry:
    labels = {each.group: each.value for each in properties.get("X-ABLABEL", []) if each.group}
    surname, given = ([*_split(_first(properties, "N"), ";"), "", ""])[:2]
    kinds = (_first(properties, name) for name in ("KIND", "X-ADDRESSBOOKSERVER-KIND"))
    members = (
        each.value for name in ("MEMBER", "X-ADDRESSBOOKSERVER-MEMBER") for each in properties.get(name, [])
    )
    return ContactEntry(
        place=place,
        name=_unescape(_first(properties, "FN")),
        given_name=given,
        family_name=surname,
        aliases=tuple(_list_values(properties, "NICKNAME")),
        groups=tuple(each for each in _list_values(properties, "CATEGORIES") if each != "myContacts"),
        company=_split(_first(properties, "ORG"), ";")[0],
        phones=tuple(_read_phone(each, labels) for each in properties.get("TEL", []) if each.value.strip()),
        uid=_bare_uid(_first(properties, "UID")),
        members=tuple(map(_bare_uid, members)) if "group" in map(str.casefold, kinds) else None,
    )


def _read_phone(tel: Property, labels: dict[str, str]) -> Phone:
    types = [word for value in tel.params.get("TYPE", []) for word in value.split(",")]
    words = [word.casefold() for word in (*types, *tel.singletonparams)]
    own = re.sub(r"^_\$!<(.*)>!\$_$", r"\1", _unescape(labels.get(tel.group, "")))
    return Phone(_unescape(tel.value), own or " ".join(w for w in words if w not in _NOT_A_LABEL), "TEL")


def _first(properties: dict[str, list[Property]], name: str) -> str:
    values = (str(each.value).strip() for each in properties.get(name, []))
    return next(filter(None, values), "")


def _list_values(properties: dict[str, list[Property]], name: str) -> Iterator[str]:
    for each in properties.get(name, []):
        yield from filter(None, (value.strip() for value in _split(each.value, ",")))


def _split(value: str, separator: str) -> list[str]:
    """Split a value at a separator that no backslash escapes."""
    return [_unescape(part) for part in re.split(rf"(?<!\\){separator}", value)]


def _unescape(value: str) -> str:
    return re.sub(r"\\(.)", lambda found: " " if found[1] in "nN" else found[1], value)


def _bare_uid(value: str) -> str:
    return value.casefold().removeprefix("urn:uuid:")
