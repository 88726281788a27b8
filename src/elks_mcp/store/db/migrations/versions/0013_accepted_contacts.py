"""The contacts that a person accepted.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Create the table of accepted contacts."""
    op.create_table(
        "accepted_contacts",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("digest_hash", sa.String(length=64), nullable=False),
        sa.Column("people", sa.Text(), nullable=False),
        sa.Column("accepted_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_accepted_contacts_account_id")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_accepted_contacts")),
    )
