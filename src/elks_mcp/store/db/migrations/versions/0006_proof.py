"""What proves who somebody is: since when we text them, and which incoming texts we may have caused.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns; of what is there, the latest time is the only one known."""
    for column in ("first_sent_at", "first_received_at"):
        op.add_column("contacts", sa.Column(column, sa.BigInteger()))
    op.execute("UPDATE contacts SET first_sent_at = sent_at, first_received_at = received_at")
    op.add_column(
        "arrivals", sa.Column("self_caused", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    # Of what was shown before, it is not known when it was written: it counts as older than everything.
    op.add_column("shown", sa.Column("created_at", sa.BigInteger(), nullable=False, server_default="0"))
