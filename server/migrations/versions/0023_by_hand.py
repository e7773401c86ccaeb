"""What a till gave by hand is added up at each push that gives more: found without reading all it ever recorded."""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "create index ledger_tx_by_hand on ledger_tx (network_id, device_id)"
        " where origin = 'till' and kind in ('adjust', 'transfer')"
    )


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
