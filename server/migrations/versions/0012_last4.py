"""Guests are found by the last four digits of their phone."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create index guest_by_last4 on guest (network_id, phone_last4) where phone_last4 is not null")


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
