"""Shifts are found among millions of sales without reading those."""

from __future__ import annotations

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "create index ledger_tx_closed_shifts on ledger_tx (network_id, effective_at, id) where kind = 'shift_close'"
    )
    op.execute(
        "create index ledger_tx_opened_shifts on ledger_tx (network_id, device_id, epoch, branch, seq)"
        " where kind = 'shift_open'"
    )


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
