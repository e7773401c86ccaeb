"""What has waited for 30 days is put before a person, and still posted by itself if what it waits for arrives."""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("drop index quarantine_waits_for")
    op.execute(
        "create index quarantine_waits_for on quarantine (network_id, waits_for)"
        " where reason = 'WAITING_DEP' and state in ('waiting_dependency', 'open')"
    )


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
