"""When history last held a row that cannot be read and may be a STOP.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column `unread_at`."""
    op.add_column("accounts", sa.Column("unread_at", sa.BigInteger()))
