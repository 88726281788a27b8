"""Readers: functions that turn the text of a setting into its value.

Each raises `Unreadable` for text that it cannot read, and repeats the text only in the error's `problem`.
"""

import re
from collections.abc import Callable
from datetime import UTC, tzinfo
from ipaddress import ip_network
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationInfo

from elks_mcp.domain.allowed_recipients import AllowedRecipient, ContactReference, split_recipients
from elks_mcp.domain.cleaning import is_blank
from elks_mcp.domain.contact_search import has_many_digits
from elks_mcp.domain.guards import GUARD_NAMES, NOT_SWITCHABLE
from elks_mcp.domain.money import Money
from elks_mcp.domain.numbering_plans import RESERVED_REGIONS
from elks_mcp.domain.phone import NumberKind, Sender, parse_number, parse_sender
from elks_mcp.domain.policy import Policy
from elks_mcp.domain.signature import LONGEST_SIGNATURE
from elks_mcp.domain.subaccounts import is_subaccount
from elks_mcp.domain.text import find_unsendable
from elks_mcp.domain.toolsets import ALL_TOOLSETS, Toolset
from elks_mcp.errors import InvalidInput
from elks_mcp.runtime.addresses import Networks, is_loopback
from elks_mcp.runtime.clock import list_zones, parse_zone
from elks_mcp.runtime.text_encoding import Undecodable, decode_text
from elks_mcp.runtime.validation import is_empty_word
from elks_mcp.settings.problems import Unreadable
from elks_mcp.store import SHORTEST_KEY

T = TypeVar("T")


def read_sender(value: object) -> Sender:
    """Return a sender: a phone number or a name."""
    return _parse_sender(str(value))


def read_senders(value: object) -> tuple[Sender, ...]:
    """Return the senders in a list separated by commas."""
    return tuple(map(_parse_sender, _some_items(value)))


def _parse_sender(raw: str) -> Sender:
    if is_empty_word(raw):
        raise Unreadable("write a number of the account, as in +46701740605, or a name of 3–11 letters")
    return _parse(parse_sender, raw)


def read_recipients(value: object, info: ValidationInfo) -> frozenset[AllowedRecipient]:
    """Return the recipients in a list: numbers, names of contacts, groups, or `contacts`.

    National numbers are read as in the sender's country. An item with many digits is a number.
    """
    home = Policy(sender=info.data.get("sender")).home
    items = _some_items(value, split_recipients)
    if "sender" not in info.data:  # it cannot be read, so the country of national numbers is not known
        items = [item for item in items if not item.startswith("0")]
    return frozenset(_read_recipient(item, home) for item in items)


def _read_recipient(item: str, home: str) -> AllowedRecipient:
    if has_many_digits(item) or is_empty_word(item) or not any(map(str.isalpha, item)):
        return _parse(lambda raw: parse_number(raw, home), item)
    return ContactReference(item)


def _parse(parse: Callable[[str], T], raw: str) -> T:
    """Return the parsed value; an error becomes an `Unreadable`, which pydantic understands."""
    try:
        return parse(raw)
    except InvalidInput as error:
        digits = raw.strip()
        plus = " The + is probably missing." if digits.isdecimal() and _is_assigned(f"+{digits}") else ""
        raise Unreadable(f"{error.hint}{plus}", str(error)) from None


def _is_assigned(e164: str) -> bool:
    try:
        return parse_number(e164).kind is not NumberKind.UNASSIGNED
    except InvalidInput:
        return False


def read_account(value: object) -> str:
    """Return the API username of an account that is not a subaccount."""
    username = str(value).strip()
    if is_subaccount(username) or not username.isascii() or len(username.split()) != 1:
        raise Unreadable(
            "use the API username of the account itself, which begins with u, not a subaccount's"
        )
    return username


def read_countries(value: object) -> frozenset[str]:
    """Return the ISO 3166 regions in a list of two-letter codes."""
    from iso3166 import countries_by_alpha2  # noqa: PLC0415  (30 ms, and only needed for this setting)

    items = _some_items(value)
    known = countries_by_alpha2.keys() | RESERVED_REGIONS.keys()
    if odd := next((item for item in items if item.upper() not in known), None):
        meant = _MEANT_COUNTRIES.get(odd.upper())
        perhaps = f", perhaps {meant} is meant" if meant else ""
        raise Unreadable(
            "use two-letter codes of ISO 3166, as in SE,NO", f"{odd!r} is not a country{perhaps};"
        )
    return frozenset(item.upper() for item in items)


_MEANT_COUNTRIES = {"UK": "GB", "EN": "GB", "SV": "SE", "SW": "SE", "DA": "DK", "EL": "GR", "SU": "FI"}
"""Codes of languages, and everyday abbreviations, that people write for a country's code."""


def read_guards(value: object) -> frozenset[str]:
    """Return the guards in a list of names, all of which can be switched off."""
    names = frozenset(_items(value))
    switchable = [name for name in GUARD_NAMES if name not in NOT_SWITCHABLE]
    if odd := next((name for name in sorted(names) if name not in switchable), None):
        fault = "cannot be switched off" if odd in NOT_SWITCHABLE else "is not a guard"
        raise Unreadable(f"these can be switched off: {', '.join(switchable)}", f"{odd!r} {fault};")
    return names


def read_toolsets(value: object) -> frozenset[Toolset]:
    """Return the toolsets in a list of names; `all` is every one."""
    names = [item.casefold() for item in _some_items(value)]
    if odd := next((name for name in names if name not in {*Toolset, ALL_TOOLSETS}), None):
        raise Unreadable(
            f"use a list of these: {', '.join((*Toolset, ALL_TOOLSETS))}", f"{odd!r} is not a toolset;"
        )
    return frozenset(Toolset if ALL_TOOLSETS in names else map(Toolset, names))


def read_signature(value: object) -> str:
    """Return the signature that ends every text."""
    text = str(value).strip()
    if len(text) > LONGEST_SIGNATURE:
        raise Unreadable(f"use {LONGEST_SIGNATURE} characters at most", f"it has {len(text)};")
    if odd := find_unsendable(text):
        raise Unreadable("leave that character out", f"it contains U+{ord(odd):04X}, which cannot be sent;")
    if is_blank(text):
        raise Unreadable("it contains only invisible characters; write something visible")
    return text


def read_budget(value: object) -> int:
    """Return an amount in ten-thousandths of the account's currency."""
    try:
        return Money.parse(str(value)).units
    except ValueError as error:
        raise Unreadable("use an amount, such as 10 or 2.50", f"{error};") from None


def read_base_url(value: object) -> str:
    """Return a base URL without a final slash: `https://`, or `http://` on this machine."""
    url = str(value).strip().rstrip("/")
    try:
        parts = urlsplit(url)
        has_port = parts.port != 0  # a ValueError if it is not a number
    except ValueError:
        raise Unreadable("it is not an address; use https://…, or http:// on this machine only") from None
    if parts.username or parts.password:
        raise Unreadable(
            "credentials do not belong in an address; use ELKS_API_USERNAME and ELKS_API_PASSWORD"
        )
    is_host = has_port and re.fullmatch(r"[\w.-]+|[0-9a-f:.]+", parts.hostname or "")
    if not is_host or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))):
        raise Unreadable("use https://…, or http:// on this machine only")
    if parts.query or parts.fragment:
        raise Unreadable("use an address without ? and #")
    return url


def read_api_base_url(value: object, info: ValidationInfo) -> str:
    """Return the address of 46elks' API; there is none in the sandbox."""
    if info.data.get("simulated"):
        raise Unreadable(
            "ELKS_SANDBOX and ELKS_API_BASE_URL cannot be used together, because the sandbox runs "
            "inside this server; unset one of them"
        )
    return read_base_url(value)


def read_database_url(value: object) -> SecretStr:
    """Return the address of a PostgreSQL database."""
    url = str(value).strip()
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    if scheme not in {"postgresql", "postgres"}:
        raise Unreadable(
            "use postgresql://…; for SQLite, leave it unset, and set ELKS_STATE_DIR to choose the directory"
        )
    return SecretStr(re.sub("^postgres:", "postgresql:", url))


def read_secret_key(value: object) -> SecretStr:
    """Return a secret key of 32 bytes or more."""
    if len(str(value).encode()) < SHORTEST_KEY:
        raise Unreadable(f"it needs {SHORTEST_KEY} bytes or more. To make one: `openssl rand -hex 32`")
    return SecretStr(str(value))


def read_path(value: object) -> Path:
    """Return the absolute path of a file or a directory, with `~` expanded.

    Raises:
        Unreadable: the path begins with the home directory of a user who does not exist.
    """
    try:
        return Path(str(value)).expanduser().absolute()
    except RuntimeError:
        raise Unreadable("no user of this machine has that home directory; write the whole path") from None


def read_networks(value: object) -> Networks:
    """Return the networks in a list; a single address is a network of one."""
    try:
        networks = tuple(ip_network(item) for item in _some_items(value))
    except Unreadable:
        raise
    except ValueError as error:
        raise Unreadable("use addresses or networks, as in 192.0.2.7,10.0.0.0/8", f"{error};") from None
    if any(network.prefixlen == 0 for network in networks):
        raise Unreadable(
            "a network of all addresses would trust everyone; list the addresses or networks to trust"
        )
    return networks


def read_hosts(value: object) -> tuple[str, ...]:
    """Return the host names in a list, in lower case, each with its port if it has one."""
    hosts = tuple(item.lower() for item in _some_items(value))
    for host in hosts:
        if not re.fullmatch(r"[a-z0-9.-]+(:[0-9]{1,5})?|\[[0-9a-f:.]+\](:[0-9]{1,5})?", host):
            raise Unreadable("use sms.example.com or sms.example.com:8046", f"{host!r} is not a host name;")
    return hosts


def read_time_zone(value: object) -> tzinfo:
    """Return the time zone with this IANA name; UTC needs no time zone database."""
    name = str(value).strip()
    if name.upper() == "UTC":
        return UTC
    try:
        return parse_zone(name)
    except ValueError:
        known = list_zones()
    if not known:
        raise Unreadable(
            "this machine has no time zone database; install the package tzdata, or unset this setting to "
            "use the machine's zone"
        )
    meant = next((each for each in sorted(known) if each.casefold() == name.casefold()), "")
    perhaps = f", perhaps {meant} is meant" if meant else ""
    raise Unreadable(
        "use a name of the IANA time zone database, as in Europe/Stockholm",
        f"{name!r} is not a time zone{perhaps};",
    )


def _items(value: object) -> list[str]:
    return [item.strip() for item in str(value).split(",") if item.strip()]


def _some_items(value: object, split: Callable[[str], list[str]] = _items) -> list[str]:
    """Return the items of a list that limits something; an empty list would limit nothing."""
    items = split(str(value))
    if not items:
        raise Unreadable("the list is empty; unset it, or list something")
    return items


def read_text(path: Path) -> str:
    """Return the text of a file that the operator named, without a byte order mark.

    No other encoding is guessed: a wrong guess would change a password or a signature unseen.

    Raises:
        Unreadable: the file cannot be read. The error says why and does not name the file.
    """
    try:
        return decode_text(path.read_bytes())
    except OSError as error:
        raise Unreadable(error.strerror or type(error).__name__) from None
    except Undecodable:
        raise Unreadable("it is not UTF-8; save it as UTF-8") from None
    except ValueError as error:  # the path has a null character
        raise Unreadable(str(error)) from None
