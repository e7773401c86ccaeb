"""What a hold was shown for: an LD4's step pays for one hold, whichever till it is shown at."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "alter table hold add column code text not null default '', add column root bytea, add column step bigint"
    )
    op.execute("create index hold_by_root on hold (network_id, root) where root is not null")
    op.execute("create index hold_by_account on hold (network_id, account_id, made_at)")


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
