"""When a card or a phone was blocked: what it paid before stands, what it is shown for after is told of."""

from __future__ import annotations

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table credential add column stopped_at timestamptz")
    # Looked into by every push: nearly all cards are good, so it is small.
    op.execute("create index credential_stopped on credential (network_id, handle) where stopped_at is not null")


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
