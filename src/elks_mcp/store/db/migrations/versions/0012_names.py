"""Names of tables and columns that say what they hold.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_COLUMNS = (
    ("accounts", "heard_until", "history_read_until"),
    ("accounts", "looked_at", "history_read_at"),
    ("arrivals", "heard_at", "recorded_at"),
    ("orders", "fault", "status_reason"),
    ("orders", "approval", "approval_code"),
)


def upgrade() -> None:
    """Rename columns, and move the rows of two tables to tables of other names."""
    for table, old, new in _COLUMNS:
        op.alter_column(table, old, new_column_name=new)
    _move("contacts", "known_numbers", _create_known_numbers())
    _move("shown", "taint", _create_taint())


def _move(old: str, new: str, columns: tuple[str, ...]) -> None:
    """Move rows, because SQLite cannot rename the constraints of a table."""
    source = sa.table(old, *(sa.column(name) for name in columns))
    target = sa.table(new, *(sa.column(name) for name in columns))
    op.execute(sa.insert(target).from_select(columns, sa.select(source)))
    op.drop_table(old)


def _create_known_numbers() -> tuple[str, ...]:
    times = ("sent_at", "received_at", "first_sent_at", "first_received_at", "asked_at", "maybe_at")
    table = op.create_table(
        "known_numbers",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("number_hash", sa.String(length=64), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in times),
        sa.Column("maybe_message_id", sa.String(length=100), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_known_numbers_account_id")),
        sa.PrimaryKeyConstraint("account_id", "number_hash", name=op.f("pk_known_numbers")),
    )
    return tuple(table.columns.keys())


def _create_taint() -> tuple[str, ...]:
    table = op.create_table(
        "taint",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("caller", sa.String(length=64), nullable=False),
        sa.Column("sender_hash", sa.String(length=64), nullable=False),
        sa.Column("shown_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_taint_account_id")),
        sa.PrimaryKeyConstraint("account_id", "caller", "sender_hash", name=op.f("pk_taint")),
    )
    return tuple(table.columns.keys())
