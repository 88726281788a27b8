"""When a row of history could not be read that may be a STOP.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column."""
    op.add_column("accounts", sa.Column("unread_at", sa.BigInteger()))
