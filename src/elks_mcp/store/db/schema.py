"""The tables. What is written here and what the migrations make is the same; a test compares them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    bindparam,
    false,
    func,
    or_,
    type_coerce,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Moment(TypeDecorator[datetime]):
    """A moment in UTC, as microseconds since 1970: the same, and in the same order, on every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Count the microseconds."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Make a moment of them."""
        return None if value is None else _EPOCH + value * _MICROSECOND


class _DatabaseTime(FunctionElement[datetime]):
    """The time when a statement began, by PostgreSQL's clock; SQLite has none."""

    type = Moment()
    inherit_cache = True


@compiles(_DatabaseTime)
def _without_clock(_element: _DatabaseTime, _compiler: SQLCompiler, **_: Any) -> str:
    return "NULL"


@compiles(_DatabaseTime, "postgresql")
def _by_its_clock(_element: _DatabaseTime, _compiler: SQLCompiler, **_: Any) -> str:
    return "CAST(extract(epoch FROM statement_timestamp()) * 1000000 AS BIGINT)"


NOW: ColumnElement[datetime] = func.coalesce(bindparam("now", type_=Moment), _DatabaseTime(), type_=Moment)
"""The time of the transaction, given as `now` where it is known; else the database tells it, unasked."""


def ago(time: timedelta) -> ColumnElement[int]:
    """Say when it was so long ago."""
    return type_coerce(NOW, BigInteger) - time // _MICROSECOND


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

state = Table(
    "state",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)
"""Facts about the database itself: which secret key its hashes were made with."""

accounts = Table(
    "accounts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("base_url", Text, nullable=False),
    Column("username", Text, nullable=False),
    Column("next_send_at", Moment),
    Column("paused_until", Moment),
    Column("pause_reason", String(20)),
    Column("heard_until", Moment),
    Column("looked_at", Moment),
    Column("last_arrival", BigInteger),
    Column("unread_at", Moment),
    UniqueConstraint("base_url", "username"),
)
"""Whose rows they are; and what all who send for that account share: pace, pause, how far was heard.

`heard_until` is 46elks' time, `looked_at` ours: when somebody last read on from there. `unread_at` is ours,
too: when a row of history was last read that may be a STOP, and of which nobody can tell.
"""

orders = Table(
    "orders",
    metadata,
    Column("id", String(12), primary_key=True),
    Column("account_id", ForeignKey(accounts.c.id), nullable=False),
    Column("state", String(10), nullable=False),
    Column("recipient", Text),
    Column("sender", Text, nullable=False),
    Column("kind", String(10), nullable=False, server_default="sms"),
    Column("content", Text),
    Column("details", Text, nullable=False, server_default="{}"),
    Column("parts", Integer, nullable=False),
    Column("price", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("findings", Text, nullable=False),
    Column("approver", String(10), nullable=False),
    Column("approval", String(8)),
    Column("approved_at", Moment),
    Column("placed_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("charge", BigInteger, nullable=False),
    Column("charged_at", Moment, nullable=False),
    Column("recipient_hash", String(64)),
    Column("text_hash", String(64)),
    Column("fingerprint", String(64)),
    Column("key_hash", String(64)),
    Column("attempts", Integer, nullable=False),
    Column("attempted_at", Moment),
    Column("lease", String(32)),
    Column("absent_at", Moment),
    Column("message_id", String(100)),
    Column("message_status", String(20)),
    Column("accepted_at", Moment),
    Column("cost", BigInteger),
    Column("fault", Text, nullable=False),
    Column("caller", String(64), nullable=False, server_default=""),
    Column("asks", Boolean, nullable=False, server_default=false()),
    Index("uq_orders_approval", "approval", unique=True),
    Index("uq_orders_key", "key_hash", "account_id", unique=True),
    Index("uq_orders_message", "message_id", "account_id", unique=True),
    Index("ix_orders_state", "state", "account_id", "due_at"),
    Index("ix_orders_like", "fingerprint", "account_id", "changed_at"),
    Index("ix_orders_to", "recipient_hash", "account_id", "charged_at"),
    Index("ix_orders_charged", "charged_at", "account_id", "charge"),
)
"""The outbox. `text` is there while it may still be needed to send; the hashes stay.

`due_at` is when somebody must look at it again: a waiting order expires then, a queued one has its turn,
the lease of one that is being sent ends, and for one in doubt history is read.
`charge` is what it holds of the budget: its price, then what it really cost, and 0 once it was not sent.
`asks` is whether the text asks for an answer; it outlives the text.

No index begins with the account: as long as PostgreSQL has not counted the rows of a young table, any index
that fits a little is as good to it as any other, and it would go through all that the account has.
"""


contacts = Table(
    "contacts",
    metadata,
    Column("account_id", ForeignKey(accounts.c.id), primary_key=True),
    Column("number_hash", String(64), primary_key=True),
    Column("sent_at", Moment),
    Column("received_at", Moment),
    Column("first_sent_at", Moment),
    Column("first_received_at", Moment),
    Column("asked_at", Moment),
    Column("maybe_at", Moment),
    Column("maybe_message_id", String(100)),
)
"""Who was ever written to or heard from, by keyed hash.

`asked_at` is when the account last asked the number something, as far as history shows it. `maybe_at` and
`maybe_message_id` are those of the latest text from the number, if that is likely an opt-out.
"""

opt_outs = Table(
    "opt_outs",
    metadata,
    Column("number_hash", String(64), primary_key=True),
    Column("opted_out", Boolean, nullable=False),
    Column("at", Moment, nullable=False),
    Column("account_id", ForeignKey(accounts.c.id)),
    Column("message_id", String(100)),
    Column("source", String(10), nullable=False),
    Column("reason", Text, nullable=False),
    Column("masked", String(20), nullable=False),
)
"""Who opted out, or in again after that, by keyed hash; for all accounts of the state.

`at` is when that was written or recorded: the later word wins, so words can be read twice and in any order.
`source` is "text" or "person"; `account_id` and `message_id` name the text, which is not stored.
"""

arrivals = Table(
    "arrivals",
    metadata,
    Column("account_id", ForeignKey(accounts.c.id), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("message_id", String(100), nullable=False),
    Column("sender_hash", String(64)),
    Column("received_at", Moment, nullable=False),
    Column("heard_at", Moment, nullable=False),
    Column("self_caused", Boolean, nullable=False, server_default=false()),
    Index("uq_arrivals_message", "message_id", "account_id", unique=True),
    Index("ix_arrivals_from", "sender_hash", "account_id", "position"),
)
"""Which texts came in, in the order in which we heard of them; what they say stays with 46elks.

`position` counts without a gap that could fill later: who has seen one has seen all before it.
The sender of a text can be a name, which anybody can take; then it has no hash.
A `self_caused` text may be the echo of one the account sent itself: it is nobody's answer.
"""


parked = Table(
    "parked",
    metadata,
    Column("account_id", ForeignKey(accounts.c.id), primary_key=True),
    Column("message_id", String(100), primary_key=True),
    Column("status", String(20), nullable=False),
    Column("parked_at", Moment, nullable=False),
)
"""Delivery reports about messages that are no order's yet: 46elks may tell of one before it answers us."""


shown = Table(
    "shown",
    metadata,
    Column("account_id", ForeignKey(accounts.c.id), primary_key=True),
    Column("caller", String(64), primary_key=True),
    Column("sender_hash", String(64), primary_key=True),
    Column("shown_at", Moment, nullable=False),
    Column("created_at", Moment, nullable=False, server_default="0"),
)
"""Whose words a caller's model was shown last, when, and when the oldest of them was written.

A name is hashed like a number.
"""


tokens = Table(
    "tokens",
    metadata,
    Column("id", String(8), primary_key=True),
    Column("account_id", ForeignKey(accounts.c.id), nullable=False),
    Column("name", String(64), nullable=False),
    Column("token_hash", String(64), nullable=False),
    Column("scopes", String(40), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("revoked_at", Moment),
    Column("agent", String(64), nullable=False, server_default=""),
    Index("ix_tokens_account_id", "account_id"),
)
"""Who may call over HTTP, and what for. A token itself is told once and kept nowhere.

Rows stay when tokens are revoked: what was closed once is not open to everybody again.
An empty `agent` means that of the same name: older versions know no agents.
"""


def is_one_of(column: Column[str], values: Iterable[str]) -> ColumnElement[bool]:
    """Say that a column has one of these values, which never change; IN would be written anew each time."""
    return or_(*(column == value for value in sorted(values)))
