"""Senders whose texts were shown to a model.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the table of shown texts."""
    op.create_table(
        "shown",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("caller", sa.String(length=64), nullable=False),
        sa.Column("sender_hash", sa.String(length=64), nullable=False),
        sa.Column("shown_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_shown_account_id")),
        sa.PrimaryKeyConstraint("account_id", "caller", "sender_hash", name=op.f("pk_shown")),
    )
