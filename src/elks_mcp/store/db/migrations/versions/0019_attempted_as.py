"""The credentials that an attempt was made with.

Revision ID: 0019
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0016"


def upgrade() -> None:
    """Add the column for the API username; earlier attempts have none."""
    op.add_column("orders", sa.Column("attempted_as", sa.Text(), nullable=True))
