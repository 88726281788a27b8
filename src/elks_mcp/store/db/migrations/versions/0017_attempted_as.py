"""How an attempt was made: with which credentials, and whether history shows its content.

Revision ID: 0017
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the columns; earlier attempts have no API username."""
    op.add_column("orders", sa.Column("attempted_as", sa.Text(), nullable=True))
    op.add_column("orders", sa.Column("is_hidden", sa.Boolean(), server_default=sa.false(), nullable=False))
