"""What posting needs beside the ground: a device's clock as last seen, sealed private parts, unknown guests."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The monotonic clock of one boot tells when a record was made, whatever the wall clock said.
    op.execute("alter table device add column clock_boot uuid, add column clock_ms bigint, add column clock_at bigint")
    op.execute("alter table quarantine add column private_sealed bytea")
    op.execute("alter table exception drop constraint exception_kind_check")
    op.execute(
        """
        alter table exception add constraint exception_kind_check check (kind in
            ('OVERDRAFT', 'FORK', 'CLOCK', 'LATE_EXPIRY', 'REPLAY', 'HOLD_EXPIRED', 'REVOKED', 'ID_REUSE',
             'RULE_DRIFT', 'EVIDENCE', 'VELOCITY', 'HOLE', 'SALVAGED', 'UNKNOWN_GUEST'))
        """
    )


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
