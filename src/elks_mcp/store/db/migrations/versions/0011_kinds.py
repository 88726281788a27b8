"""Orders have a kind and a payload, in place of the columns that only SMS has.

Revision ID: 0011
Revises: 0010
"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_ROWS_PER_STATEMENT = 1000
"""How many rows are rewritten with one statement."""


def upgrade() -> None:
    """Add the columns, move what the SMS columns hold to them, and drop the SMS columns."""
    op.add_column("orders", sa.Column("kind", sa.String(length=10), server_default="sms", nullable=False))
    op.add_column("orders", sa.Column("content", sa.Text(), nullable=True))
    op.add_column("orders", sa.Column("details", sa.Text(), server_default="{}", nullable=False))
    _move_payloads()
    for column in ("text", "flash", "encoding"):
        op.drop_column("orders", column)


def _move_payloads() -> None:
    orders = sa.table(
        "orders",
        sa.column("id", sa.String),
        sa.column("text", sa.Text),
        sa.column("flash", sa.Boolean),
        sa.column("encoding", sa.String),
        sa.column("content", sa.Text),
        sa.column("details", sa.Text),
    )
    old = op.get_bind().execute(sa.select(orders.c.id, orders.c.text, orders.c.flash, orders.c.encoding))
    rows = [_convert(*row) for row in old]
    change = sa.update(orders).where(orders.c.id == sa.bindparam("order_id"))
    change = change.values(content=sa.bindparam("content"), details=sa.bindparam("details"))
    for start in range(0, len(rows), _ROWS_PER_STATEMENT):
        op.get_bind().execute(change, rows[start : start + _ROWS_PER_STATEMENT])


def _convert(order_id: str, text: str | None, flash: Any, encoding: str) -> dict[str, Any]:
    content = None if text is None else json.dumps({"text": text}, ensure_ascii=False)
    return {
        "order_id": order_id,
        "content": content,
        "details": json.dumps({"flash": bool(flash), "encoding": encoding}),
    }
