"""Moments: how times are stored, the present, and when a draft goes out, in SQL."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Dialect,
    TypeDecorator,
    bindparam,
    func,
    literal_column,
    type_coerce,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Moment(TypeDecorator[datetime]):
    """A time in UTC, stored as microseconds since 1970: the same on every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Convert a time to microseconds."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Convert microseconds to a time."""
        return None if value is None else _EPOCH + value * _MICROSECOND


class _DatabaseTime(FunctionElement[datetime]):
    """The time at which a statement began, by PostgreSQL's clock; NULL on SQLite."""

    type = Moment()
    inherit_cache = True


@compiles(_DatabaseTime)
def _without_clock(_element: _DatabaseTime, _compiler: SQLCompiler, **_: Any) -> str:
    return "NULL"


@compiles(_DatabaseTime, "postgresql")
def _by_its_clock(_element: _DatabaseTime, _compiler: SQLCompiler, **_: Any) -> str:
    return "CAST(extract(epoch FROM statement_timestamp()) * 1000000 AS BIGINT)"


NOW: ColumnElement[datetime] = func.coalesce(bindparam("now", type_=Moment), _DatabaseTime(), type_=Moment)
"""The transaction's time: the parameter `now` if it is given, otherwise the database's own clock."""


class _Later(FunctionElement[datetime]):
    """The later of two times, of which the first may be NULL."""

    type = Moment()
    inherit_cache = True


@compiles(_Later)
def _by_maximum(element: _Later, compiler: SQLCompiler, **more: Any) -> str:
    one, other = (compiler.process(each, **more) for each in element.clauses)
    return f"max(coalesce({one}, 0), {other})"


@compiles(_Later, "postgresql")
def _by_greatest(element: _Later, compiler: SQLCompiler, **more: Any) -> str:
    return f"greatest({compiler.process(element.clauses, **more)})"  # it ignores NULL


SEND_AT: ColumnElement[datetime] = _Later(bindparam("send_at", type_=Moment), NOW)
"""When a draft goes out: at the parameter `send_at`, or at `NOW` if that is None or past."""


def ago(time: timedelta) -> ColumnElement[int]:
    """Build the expression for a time that long before `NOW`, in microseconds."""
    return shifted(NOW, -time)


def shifted(moment: ColumnElement[datetime], time: timedelta) -> ColumnElement[int]:
    """Build the expression for a time that long after another one, in microseconds."""
    return type_coerce(moment, BigInteger) + literal_column(str(time // _MICROSECOND), BigInteger)
