"""A long queue of sales to be priced again is read from its oldest end, not sorted whole for every two hundred."""

from __future__ import annotations

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create index reprice_queue_by_age on reprice_queue (network_id, queued_at)")


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
