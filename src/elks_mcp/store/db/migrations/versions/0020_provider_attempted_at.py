"""The time of an attempt by 46elks' clock: ours may be changed while the order is in doubt.

Revision ID: 0020
Revises: 0019
"""

import sqlalchemy as sa
from alembic import op

from elks_mcp.store.db.moments import Moment

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add the column; of earlier attempts only the database's time is known."""
    op.add_column("orders", sa.Column("provider_attempted_at", Moment(), nullable=True))
