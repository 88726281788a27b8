"""Batches, and the order of the queue.

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Create the table, and add the columns by which orders are rows of a batch."""
    op.add_column("orders", sa.Column("priority", sa.Integer(), server_default="0", nullable=False))
    op.add_column("orders", sa.Column("batch_id", sa.String(length=12), nullable=True))
    op.add_column("orders", sa.Column("batch_row", sa.Integer(), nullable=True))
    op.drop_index("ix_orders_state", "orders")
    op.create_index("ix_orders_state", "orders", ["state", "account_id", "priority", "due_at"])
    op.create_index("uq_orders_batch", "orders", ["batch_id", "batch_row"], unique=True)
    op.create_table(
        "batches",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("caller", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("left_out", sa.Integer(), nullable=False),
        sa.Column("planned_at", sa.BigInteger(), nullable=False),
        sa.Column("send_at", sa.BigInteger(), nullable=True),
        sa.Column("approver", sa.String(length=10), nullable=True),
        sa.Column("approval_code", sa.String(length=8), nullable=True),
        sa.Column("approved_at", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("paused_at", sa.BigInteger(), nullable=True),
        sa.Column("pause_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("cancelled_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_batches_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
    )
    op.create_index("uq_batches_approval", "batches", ["approval_code"], unique=True)
    op.create_index("ix_batches_approved_at", "batches", ["approved_at"])
    op.create_index("ix_batches_planned_at", "batches", ["planned_at", "account_id"])
