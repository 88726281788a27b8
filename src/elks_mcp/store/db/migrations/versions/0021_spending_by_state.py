"""Sum what was spent from an index alone.

Revision ID: 0021
Revises: 0020
"""

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add the state, on which it depends whether an order counts, to the index."""
    op.drop_index("ix_orders_charged", "orders")
    op.create_index("ix_orders_charged", "orders", ["charged_at", "account_id", "charge", "state"])
