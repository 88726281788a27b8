"""When an order goes out, and when it is too late.

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_AN_HOUR = 3_600_000_000
"""How long orders used to be kept, in microseconds."""


def upgrade() -> None:
    """Add the columns. Orders expire an hour after they were placed, as before."""
    op.add_column("orders", sa.Column("send_at", sa.BigInteger(), nullable=True))
    op.add_column("orders", sa.Column("expires_at", sa.BigInteger(), nullable=True))
    op.add_column("orders", sa.Column("unreported", sa.Boolean(), server_default=sa.false(), nullable=False))
    orders = sa.table(
        "orders",
        sa.column("placed_at", sa.BigInteger),
        sa.column("expires_at", sa.BigInteger),
    )
    op.execute(orders.update().values(expires_at=orders.c.placed_at + _AN_HOUR))
    op.create_index(
        "ix_orders_unreported",
        "orders",
        ["account_id", "caller"],
        sqlite_where=sa.text("unreported"),
        postgresql_where=sa.text("unreported"),
    )
