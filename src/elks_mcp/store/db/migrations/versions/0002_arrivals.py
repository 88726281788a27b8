"""Received texts.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table of received texts, and the columns for each account's reading position."""
    op.add_column("accounts", sa.Column("looked_at", sa.BigInteger(), nullable=True))
    op.add_column("accounts", sa.Column("last_arrival", sa.BigInteger(), nullable=True))
    op.create_table(
        "arrivals",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("message_id", sa.String(length=100), nullable=False),
        sa.Column("sender_hash", sa.String(length=64), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("heard_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_arrivals_account_id")),
        sa.PrimaryKeyConstraint("account_id", "position", name=op.f("pk_arrivals")),
    )
    op.create_index("uq_arrivals_message", "arrivals", ["message_id", "account_id"], unique=True)
    op.create_index("ix_arrivals_from", "arrivals", ["sender_hash", "account_id", "position"], unique=False)
