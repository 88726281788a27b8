"""The agent that a token is for, so that several tokens can be one caller.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column. It is empty for tokens of older versions, whose agent is their name."""
    op.add_column("tokens", sa.Column("agent", sa.String(length=64), server_default="", nullable=False))
