"""Read JSON answers and their fields leniently: shared by the modules for the endpoints."""

import json
import re
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError, WrapValidator

from elks_mcp.domain.cleaning import cleaned
from elks_mcp.domain.money import Money
from elks_mcp.errors import NoAnswer

LONGEST_LINE = 200
"""The most characters kept of one line that 46elks wrote."""

_LONGEST_STATUS = 20


def build_time(moment: datetime) -> str:
    """Return a moment as 46elks writes it: UTC, microseconds, no zone."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def parse_time(value: object) -> datetime | None:
    """Read a moment in any form that 46elks' documentation shows; None if it is in none.

    `2018-06-25T08:40:22.109482` and `2016-11-03 12:30:18` have no zone and are UTC; `2017-03-14T09:52:10Z`
    has one. The malformed `2016-10-01T12:00:00:00.11` is read up to the seconds.
    """
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        found = re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}", value)
        return parse_time(found.group()) if found and found.group() != value else None
    if not MINYEAR < moment.year < MAXYEAR:
        return None  # converting between zones, or adding an overlap, would leave the calendar
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def parse_cost(units: int | None, currency: str) -> Money | None:
    """Return a cost, given in ten-thousandths of the currency, as money; None if there is none."""
    return None if units is None else Money(units, currency)


def _or_none(value: Any, handler: Any) -> Any:
    try:
        return handler(value)
    except ValidationError:
        return None


def _reject_bool(value: Any) -> Any:
    """Return None for true and false in place of a number; pydantic would take them for 1 and 0."""
    return None if isinstance(value, bool) else value


def _clean_line(text: str) -> str:
    return cleaned(text).strip()[:LONGEST_LINE]


def _repair_surrogates(text: str) -> str:
    """Replace lone halves of surrogate pairs, which JSON can hold and no encoding can write."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


T = TypeVar("T")
Lenient = Annotated[T | None, WrapValidator(_or_none)]
Time = Annotated[datetime | None, BeforeValidator(parse_time)]
Id = Annotated[str, Field(pattern=r"^[!-~]{1,100}$")]
Line = Annotated[str, AfterValidator(_clean_line)]
MessageText = Annotated[str, AfterValidator(_repair_surrogates)]
StatusField = Annotated[str, AfterValidator(lambda text: _clean_line(text)[:_LONGEST_STATUS])]
Whole = Annotated[int, BeforeValidator(_reject_bool)]
Units = Annotated[Whole, Field(ge=-(10**15), le=10**15)]
Parts = Annotated[Whole, Field(ge=1, le=10**6)]

_BodyType = TypeVar("_BodyType", bound=BaseModel)


def parse_body(kind: type[_BodyType], body: bytes) -> _BodyType:
    """Read an answer as a model.

    pydantic's own JSON reader is not used: it rejects the whole answer for one lone surrogate.

    Raises:
        NoAnswer: it is not JSON, or lacks something that the model needs.
    """
    try:
        content = json.loads(body.decode("utf-8-sig", "replace"), strict=False, parse_int=_parse_int)
    except (ValueError, RecursionError):
        raise build_unreadable("it is not JSON") from None
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise build_unreadable(_find_fault(error)) from None


def parse_entry(kind: type[_BodyType], raw: object) -> _BodyType | None:
    """Read one entry of a list as a model; None if it does not fit."""
    try:
        return kind.model_validate(raw)
    except ValidationError:
        return None


def build_unreadable(reason: str) -> NoAnswer:
    """Return the error for a successful answer that cannot be read; `reason` follows a colon."""
    return NoAnswer(f"46elks' answer could not be read: {reason}.", status=200)


def _parse_int(digits: str) -> int | None:
    """Read a whole number; None if it has more digits than any amount."""
    return int(digits) if len(digits) < 20 else None  # noqa: PLR2004


def _find_fault(error: ValidationError) -> str:
    """Name the field that is wrong, without its value: a stranger may have written it."""
    first = error.errors(include_input=False, include_url=False)[0]
    location = ".".join(str(step) for step in first["loc"])
    return f"it has no usable {location}" if location else "it is not a JSON object"
