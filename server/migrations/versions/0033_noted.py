"""When steps and tier discounts were noted: what no push can ask for any more is forgotten.

What is there already counts from now on. The days of unproved redemptions get an index for it too.
"""

from __future__ import annotations

from alembic import context, op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    role = '"' + context.config.attributes["app_role"].replace('"', '""') + '"'
    for table in ("step_use", "tier_use"):
        # The default stays: a server of before writes on while the next one is started.
        op.execute(f"alter table {table} add column noted_at timestamptz not null default now()")
        op.execute(f"grant delete on {table} to {role}")
    for table in ("step_use", "tier_use", "unproved_use"):
        op.execute(f"create index {table}_noted on {table} (network_id, noted_at)")


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
