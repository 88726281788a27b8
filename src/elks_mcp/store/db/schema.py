"""The tables. A test checks that the migrations create the same ones."""

from collections.abc import Iterable

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    literal_column,
    or_,
    text,
)

from elks_mcp.store.db.moments import Moment

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
"""Facts about the database itself: with which secret key its hashes were made."""

accounts = Table(
    "accounts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("base_url", Text, nullable=False),
    Column("username", Text, nullable=False),
    Column("next_send_at", Moment),
    Column("paused_until", Moment),
    Column("pause_reason", String(20)),
    Column("history_read_until", Moment),
    Column("history_read_at", Moment),
    Column("last_arrival", BigInteger),
    Column("unread_at", Moment),
    UniqueConstraint("base_url", "username"),
)
"""The accounts that rows belong to, and what all processes share that send for an account.

That is the pace (`next_send_at`), a pause, and how far history was read: up to `history_read_until` by
46elks' clock, at the time `history_read_at` by the database's clock. `unread_at` is when history last held
a row that cannot be read and may be a STOP. `last_arrival` is the latest position in `arrivals`.
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
    Column("approval_code", String(8)),
    Column("approved_at", Moment),
    Column("placed_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("send_at", Moment),
    Column("expires_at", Moment),
    Column("charge", BigInteger, nullable=False),
    Column("charged_at", Moment, nullable=False),
    Column("recipient_hash", String(64)),
    Column("text_hash", String(64)),
    Column("fingerprint", String(64)),
    Column("key_hash", String(64)),
    Column("attempts", Integer, nullable=False),
    Column("attempted_at", Moment),
    Column("provider_attempted_at", Moment),
    Column("attempted_as", Text),
    Column("is_hidden", Boolean, nullable=False, server_default=false()),
    Column("lease", String(32)),
    Column("absent_at", Moment),
    Column("message_id", String(100)),
    Column("message_status", String(20)),
    Column("accepted_at", Moment),
    Column("cost", BigInteger),
    Column("status_reason", Text, nullable=False),
    Column("caller", String(64), nullable=False, server_default=""),
    Column("asks", Boolean, nullable=False, server_default=false()),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("batch_id", String(12)),
    Column("batch_row", Integer),
    Column("unreported", Boolean, nullable=False, server_default=false()),
    Index("uq_orders_approval", "approval_code", unique=True),
    Index("uq_orders_key", "key_hash", "account_id", unique=True),
    Index("uq_orders_message", "message_id", "account_id", unique=True),
    Index("ix_orders_state", "state", "account_id", "priority", "due_at"),
    Index("uq_orders_batch", "batch_id", "batch_row", unique=True),
    Index("ix_orders_like", "fingerprint", "account_id", "changed_at"),
    Index("ix_orders_to", "recipient_hash", "account_id", "charged_at"),
    Index("ix_orders_charged", "charged_at", "account_id", "charge", "state"),
    Index(
        "ix_orders_unreported",
        "account_id",
        "caller",
        sqlite_where=text("unreported"),
        postgresql_where=text("unreported"),
    ),
)
"""The outbox.

`kind` says which class of `domain/payloads.py` the order carries. `content` is the part of its payload that
may only be kept as long as it is needed for sending, as JSON. `details` is the part that stays, as JSON.
The hashes stay too: `text_hash` is that of what the payload says, `fingerprint` that of the whole message.
`due_at` is when the order has to be looked at again: a waiting order expires then, a scheduled one is queued,
a queued one may go out, the lease of one that is being sent ends, and for one in doubt history is read.
`send_at` is the time that the caller named, and `expires_at` when it is too late to send it.
`charged_at` is when `charge` counts: in the future for a scheduled order, and for a row of a batch its slot;
then the claim, and then the latest moment at which 46elks can have accepted it.
`unreported` says that it was not sent at its time, which its caller still has to be informed of.
`charge` is its share of the budget: the price, then the real cost, and 0 if it was not sent.
`priority` orders the queue: 0 for a single text, 1 for a row of a batch, so that a single text overtakes.
`batch_row` is the number of the row in the caller's list.
`asks` says whether the message asks for an answer. It is kept after the content was erased.

No index of all rows begins with the account. Until PostgreSQL has statistics about a young table, it takes
any index that fits a little for as good as any other, and would read all rows of the account.
"""


known_numbers = Table(
    "known_numbers",
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
"""The numbers that a text was ever sent to or received from, by keyed hash.

`asked_at` is when the account last asked the number something, as far as history shows. `maybe_at` and
`maybe_message_id` belong to the latest text from the number, if that is likely to be an opt-out.
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
"""The numbers that opted out, or opted in again after that, by keyed hash; for all accounts of the database.

`at` is when that was written or recorded. The latest one wins, so texts can be read twice and in any order.
`source` is "text" or "person". `account_id` and `message_id` identify the text, which is not stored.
"""

batches = Table(
    "batches",
    metadata,
    Column("id", String(12), primary_key=True),
    Column("account_id", ForeignKey(accounts.c.id), nullable=False),
    Column("caller", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("plan", Text),
    Column("digest", String(64), nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("left_out", Integer, nullable=False),
    Column("planned_at", Moment, nullable=False),
    Column("send_at", Moment),
    Column("approver", String(10)),
    Column("approval_code", String(8)),
    Column("approved_at", Moment),
    Column("started_at", Moment),
    Column("paused_at", Moment),
    Column("pause_reason", Text, nullable=False, server_default=""),
    Column("cancelled_at", Moment),
    Index("uq_batches_approval", "approval_code", unique=True),
    Index("ix_batches_approved_at", "approved_at"),
    Index("ix_batches_planned_at", "planned_at", "account_id"),
)
"""The batches. After the start, what happened to a row is the state of its order, and stands nowhere else.

`approved_at` is when a person approved it outside the client, until a server starts it.

`plan` is the frozen rows, as JSON. Their texts are removed when the batch is started, and the whole plan a
day after it ended or if it is not started. `digest` is the hash of what a person approves. `total` is the
price of all rows, and `left_out` the number of rows without a text.
"""

arrivals = Table(
    "arrivals",
    metadata,
    Column("account_id", ForeignKey(accounts.c.id), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("message_id", String(100), nullable=False),
    Column("sender_hash", String(64)),
    Column("received_at", Moment, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    Column("self_caused", Boolean, nullable=False, server_default=false()),
    Index("uq_arrivals_message", "message_id", "account_id", unique=True),
    Index("ix_arrivals_from", "sender_hash", "account_id", "position"),
)
"""The texts that were received, in the order in which they were recorded. Their words are not stored.

`position` counts up without gaps, so a client that has seen one position has seen all before it.
A sender that is a name has no hash, because anyone can take any name.
A `self_caused` text may be the echo of one that the account sent. It does not count as an answer.
"""


parked = Table(
    "parked",
    metadata,
    Column("account_id", ForeignKey(accounts.c.id), primary_key=True),
    Column("message_id", String(100), primary_key=True),
    Column("status", String(20), nullable=False),
    Column("parked_at", Moment, nullable=False),
)
"""Delivery reports about messages of no known order: a report can arrive before 46elks answers the POST."""


taint = Table(
    "taint",
    metadata,
    Column("account_id", ForeignKey(accounts.c.id), primary_key=True),
    Column("caller", String(64), primary_key=True),
    Column("sender_hash", String(64), primary_key=True),
    Column("shown_at", Moment, nullable=False),
    Column("created_at", Moment, nullable=False, server_default="0"),
)
"""The senders whose texts a caller's model was shown: when last, and when the oldest was written.

A sender that is a name is hashed like a number.
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
"""The tokens of callers over HTTP, and their scopes. The token itself is shown once and not stored.

The rows of revoked tokens stay: a server that once required a token must not become open to everyone.
An empty `agent` stands for the agent named like the token, because older versions do not know agents.
"""


accepted_contacts = Table(
    "accepted_contacts",
    metadata,
    Column("account_id", ForeignKey(accounts.c.id), primary_key=True),
    Column("digest_hash", String(64), nullable=False),
    Column("people", Text, nullable=False),
    Column("accepted_at", Moment, nullable=False),
)
"""The contacts that a person accepted last for an account, where contacts decide who may be texted.

`people` is a JSON object: for the keyed hash of each name, a keyed hash of what the contacts say about it.
"""


heartbeats = Table(
    "heartbeats",
    metadata,
    Column("account_id", ForeignKey(accounts.c.id), primary_key=True),
    Column("process_id", String(16), primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("escalates", Boolean, nullable=False, server_default=false()),
)
"""The processes that send for an account: when each was seen first, and when last.

A long-running server has a row all the time, any other process while it sends the rows of a batch.

`process_id` is random. `kind` is a `ServerKind`. `escalates` says that it carries alerts on.
"""


alerts = Table(
    "alerts",
    metadata,
    Column("id", String(12), primary_key=True),
    Column("account_id", ForeignKey(accounts.c.id), nullable=False),
    Column("caller", String(64), nullable=False),
    Column("policy", String(64), nullable=False),
    Column("state", String(12), nullable=False),
    Column("code", String(4), nullable=False),
    Column("plan", Text),
    Column("digest", String(64), nullable=False),
    Column("most", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("fingerprint", String(64)),
    Column("key_hash", String(64)),
    Column("approver", String(10), nullable=False),
    Column("approval_code", String(8)),
    Column("approved_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("position", Integer, nullable=False, server_default="0"),
    Column("next_at", Moment),
    Column("ends_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("reason", Text, nullable=False, server_default=""),
    Column("acknowledged_by", String(64)),
    Column("acknowledged_how", String(10)),
    Column("late_by", String(64)),
    Column("late_at", Moment),
    Column("unreported", Boolean, nullable=False, server_default=false()),
    Index("uq_alerts_approval", "approval_code", unique=True),
    Index("uq_alerts_key", "key_hash", "account_id", unique=True),
    Index("ix_alerts_state", "state", "account_id"),
    Index("ix_alerts_created", "created_at", "account_id"),
)
"""The alerts that go on until somebody answers.

`plan` is the frozen path and the text, as JSON. The words of the caller are removed when the alert is over,
and the whole plan a day later. `digest` is the hash of what a person approves. `position` is the stage that
comes next. It changes in the same transaction that places the orders of the stage before.
`ends_at` is when the alert ends if nobody acknowledges it; while it waits, when it is too late to approve it.
`acknowledged_by` and `late_by` are keyed hashes of numbers. `unreported` says that its end was not logged and
counted yet.
"""


alert_attempts = Table(
    "alert_attempts",
    metadata,
    Column("alert_id", ForeignKey(alerts.c.id), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("means", String(10), nullable=False),
    Column("at", Moment, nullable=False),
    Column("recipient_hash", String(64)),
    Column("order_id", String(12)),
    Column("skipped", Text, nullable=False, server_default=""),
    Column("wrong_codes", Integer, nullable=False, server_default="0"),
    Index("ix_alert_attempts_to", "recipient_hash", "alert_id"),
    Index("ix_alert_attempts_order", "order_id"),
)
"""Each person of each stage that an alert placed or skipped. Its state is that of its order.

`number` is the person's place in the stage. `order_id` is null for a person who was skipped.
"""


calls = Table(
    "calls",
    metadata,
    Column("order_id", String(12), primary_key=True),
    Column("account_id", ForeignKey(accounts.c.id), nullable=False),
    Column("state", String(10), nullable=False),
    Column("digits", String(10)),
    Column("seconds", Integer),
    Column("ended_at", Moment),
    Index(
        "ix_calls_ongoing",
        "account_id",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)
"""The outcome of each call that was handed to 46elks: see `CallOutcome`.

`digits` is what was pressed: empty if nothing was, and NULL while that is not known.
"""


call_audio = Table(
    "call_audio",
    metadata,
    Column("account_id", ForeignKey(accounts.c.id), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("format", String(4), nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("expires_at", Moment, nullable=False),
)
"""The audio of calls, by its SHA-256, so that every replica can serve it until it expires."""


def is_one_of(column: Column[str], values: Iterable[str]) -> ColumnElement[bool]:
    """Build the condition that a column has one of these fixed values, without a costly IN."""
    return or_(*(column == _constant(value) for value in sorted(values)))


def _constant(value: str) -> ColumnElement[str]:
    """Build a value that is part of the SQL: passing it as a parameter takes time at each run."""
    escaped = value.replace("'", "''")
    return literal_column(f"'{escaped}'", String)
