"""Opt-outs of all accounts in one table, and which texts ask a question.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_LATEST_WORDS = """
    INSERT INTO opt_outs (number_hash, opted_out, at, account_id, source, reason, masked)
    SELECT number_hash, opted_out, coalesce(word_at, 0), account_id, 'text', '', ''
    FROM (
        SELECT number_hash, opted_out, word_at, account_id, row_number() OVER (
            PARTITION BY number_hash ORDER BY coalesce(word_at, 0) DESC, opted_out DESC, account_id
        ) AS place
        FROM contacts WHERE opted_out OR word_at IS NOT NULL
    ) AS words
    WHERE place = 1
"""
"""The latest opt-out or opt-in of several accounts counts; of two at the same time, the opt-out."""


def upgrade() -> None:
    """Create the table, move the opt-outs there, and mark the stored texts that ask a question."""
    op.create_table(
        "opt_outs",
        sa.Column("number_hash", sa.String(length=64), nullable=False),
        sa.Column("opted_out", sa.Boolean(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=True),
        sa.Column("message_id", sa.String(length=100), nullable=True),
        sa.Column("source", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("masked", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_opt_outs_account_id")),
        sa.PrimaryKeyConstraint("number_hash", name=op.f("pk_opt_outs")),
    )
    op.execute(_LATEST_WORDS)
    op.execute("DELETE FROM contacts WHERE sent_at IS NULL AND received_at IS NULL")
    op.drop_column("contacts", "opted_out")
    op.drop_column("contacts", "word_at")
    op.add_column("contacts", sa.Column("asked_at", sa.BigInteger(), nullable=True))
    op.add_column("contacts", sa.Column("maybe_at", sa.BigInteger(), nullable=True))
    op.add_column("contacts", sa.Column("maybe_message_id", sa.String(length=100), nullable=True))
    op.add_column("orders", sa.Column("asks", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute("UPDATE orders SET asks = true WHERE text LIKE '%?%'")
