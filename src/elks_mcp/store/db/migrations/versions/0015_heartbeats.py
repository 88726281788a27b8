"""The long-running servers that run.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Create the table of heartbeats."""
    op.create_table(
        "heartbeats",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("process_id", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_heartbeats_account_id")),
        sa.PrimaryKeyConstraint("account_id", "process_id", name=op.f("pk_heartbeats")),
    )
