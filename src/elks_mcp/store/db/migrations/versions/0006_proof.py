"""Proof of a sender: when it was first texted, and which texts we may have caused.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns. For existing rows, the latest time is the only one known."""
    for column in ("first_sent_at", "first_received_at"):
        op.add_column("contacts", sa.Column(column, sa.BigInteger()))
    op.execute("UPDATE contacts SET first_sent_at = sent_at, first_received_at = received_at")
    op.add_column(
        "arrivals", sa.Column("self_caused", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    # It is not known when texts shown before were written: they count as older than everything.
    op.add_column("shown", sa.Column("created_at", sa.BigInteger(), nullable=False, server_default="0"))
