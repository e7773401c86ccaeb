"""Whose the end of a lot is, and when paid checks kept a guest's points alive (INV-19 under `inactivity`)."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Lots of before count as the program's: the next check goes on lengthening them, as it did until now.
    op.execute("alter table lot add column own_expiry boolean not null default false")
    # Spans [from, until] in milliseconds UTC, until null for never. Without them a check that comes late could not
    # lengthen what a later one, posted before, met as dead.
    op.execute("alter table account add column activity jsonb not null default '[]'")


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
