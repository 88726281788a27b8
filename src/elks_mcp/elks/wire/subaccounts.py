"""Subaccounts: GET and POST /subaccounts and /subaccounts/{id}.

https://46elks.com/docs/create-subaccount, https://46elks.com/docs/update-subaccount
"""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, SecretStr

from elks_mcp.domain.money import Money
from elks_mcp.domain.subaccounts import Subaccount
from elks_mcp.elks.wire.field_types import (
    Id,
    Lenient,
    Line,
    Units,
    build_time,
    build_unreadable,
    parse_body,
    parse_entry,
    parse_time,
)

_NO_LIMIT = "none"
_USED = ("balanceused", "usage")
"""The names of what was spent; the second is in 46elks' specification of 2018. If absent, nothing was."""


def build_subaccount(name: str, limit: Money) -> dict[str, str]:
    """Build the form that creates a subaccount."""
    return {"name": name, "usagelimit": str(limit.units)}


def build_limit(limit: Money | None) -> dict[str, str]:
    """Build the form that sets a subaccount's limit; None removes it."""
    return {"usagelimit": _NO_LIMIT if limit is None else str(limit.units)}


def build_subaccounts_query(before: datetime | None = None) -> dict[str, str]:
    """Build the query for active subaccounts that were created before a moment."""
    return {"active": "yes"} | ({"start": build_time(before)} if before else {})


def parse_subaccount(body: bytes, currency: str) -> Subaccount:
    """Read one subaccount.

    A limit, or an amount used, that is there and cannot be read is an error: taken for none, it would say
    that nothing is capped.

    Raises:
        NoAnswer: it is not a subaccount, or one of its amounts cannot be read.
    """
    return _build(parse_body(_SubaccountBody, body), currency)


def parse_subaccounts(body: bytes, currency: str) -> tuple[tuple[Subaccount, ...], datetime | None]:
    """Read a page of subaccounts, and the start of the next page, if there is one.

    Raises:
        NoAnswer: it is not a page, or an entry of it cannot be read.
    """
    page = parse_body(_ListBody, body)
    entries = [parse_entry(_SubaccountBody, raw) for raw in page.data]
    if any(each is None for each in entries):
        raise build_unreadable("it has a subaccount that cannot be read")
    return tuple(_build(each, currency) for each in entries if each), parse_time(page.next)


def _build(read: "_SubaccountBody", currency: str) -> Subaccount:
    has_limit = read.usagelimit is not None and read.usagelimit not in ("", _NO_LIMIT)
    limit = _parse_units(read.usagelimit, "usagelimit") if has_limit else None
    used = next((name for name in _USED if name in read.model_fields_set), None)
    return Subaccount(
        id=read.id,
        name=read.name or "",
        secret=SecretStr(read.secret) if read.secret else None,
        limit=None if limit is None else Money(limit, currency),
        used=Money(_parse_units(getattr(read, used), used) if used else 0, currency),
        is_active=read.active != "no" and not read.deactivated,
    )


def _parse_units(value: object, field: str) -> int:
    read = parse_entry(_UnitsBody, {"units": value})
    if read is None:
        raise build_unreadable(f"it has no usable {field}")
    return read.units


class _UnitsBody(BaseModel):
    units: Units


class _SubaccountBody(BaseModel):
    id: Id
    name: Lenient[Line] = None
    secret: Lenient[str] = None
    usagelimit: Any = None
    balanceused: Any = None
    usage: Any = None
    active: Lenient[Line] = None
    deactivated: Lenient[Line] = None


class _ListBody(BaseModel):
    data: list[Any]
    next: Any = None
