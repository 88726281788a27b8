"""Alerts that go on until somebody answers.

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Create the tables, and add the column by which a server says that it carries alerts on."""
    op.add_column(
        "heartbeats", sa.Column("escalates", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("caller", sa.String(length=64), nullable=False),
        sa.Column("policy", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("code", sa.String(length=4), nullable=False),
        sa.Column("plan", sa.Text(), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("most", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("key_hash", sa.String(length=64), nullable=True),
        sa.Column("approver", sa.String(length=10), nullable=False),
        sa.Column("approval_code", sa.String(length=8), nullable=True),
        sa.Column("approved_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("acknowledged_by", sa.String(length=64), nullable=True),
        sa.Column("acknowledged_how", sa.String(length=10), nullable=True),
        sa.Column("late_by", sa.String(length=64), nullable=True),
        sa.Column("late_at", sa.BigInteger(), nullable=True),
        sa.Column("unreported", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_alerts_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    op.create_index("uq_alerts_approval", "alerts", ["approval_code"], unique=True)
    op.create_index("uq_alerts_key", "alerts", ["key_hash", "account_id"], unique=True)
    op.create_index("ix_alerts_state", "alerts", ["state", "account_id"])
    op.create_index("ix_alerts_created", "alerts", ["created_at", "account_id"])
    op.create_table(
        "alert_attempts",
        sa.Column("alert_id", sa.String(length=12), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("means", sa.String(length=10), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("recipient_hash", sa.String(length=64), nullable=True),
        sa.Column("order_id", sa.String(length=12), nullable=True),
        sa.Column("skipped", sa.Text(), server_default="", nullable=False),
        sa.Column("wrong_codes", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_alert_attempts_alert_id")),
        sa.PrimaryKeyConstraint("alert_id", "position", "number", name=op.f("pk_alert_attempts")),
    )
    op.create_index("ix_alert_attempts_to", "alert_attempts", ["recipient_hash", "alert_id"])
    op.create_index("ix_alert_attempts_order", "alert_attempts", ["order_id"])
