"""Records that wait for another one are found by it; two more things to tell a person."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table quarantine add column waits_for uuid")
    # What waited before was read as a record: its bytes are canonical JSON. Of other kinds nothing was missing but
    # their posting; they wait for themselves to be brought again, or for a person.
    # For the moment it is the owner of the tables who looks, at all networks.
    op.execute("alter table quarantine no force row level security")
    op.execute(
        """
        update quarantine set waits_for = (convert_from(raw, 'UTF8')::jsonb ->> 'reverses_id')::uuid
        where state = 'waiting_dependency' and reason = 'WAITING_DEP'
        """
    )
    op.execute("alter table quarantine force row level security")
    op.execute(
        "create index quarantine_waits_for on quarantine (network_id, waits_for) where state = 'waiting_dependency'"
    )
    op.execute("alter table exception drop constraint exception_kind_check")
    op.execute(
        """
        alter table exception add constraint exception_kind_check check (kind in
            ('OVERDRAFT', 'FORK', 'CLOCK', 'LATE_EXPIRY', 'REPLAY', 'HOLD_EXPIRED', 'REVOKED', 'ID_REUSE',
             'RULE_DRIFT', 'EVIDENCE', 'VELOCITY', 'HOLE', 'SALVAGED', 'UNKNOWN_GUEST', 'EXCESS_RETURN', 'PHONE_TAKEN'))
        """
    )


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
