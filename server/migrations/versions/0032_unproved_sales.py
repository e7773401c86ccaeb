"""Which sale took what of a till's day of unproved redemptions: a void gives it back, and old days are forgotten.

Beside it the limits that held before: what was redeemed while they did is judged by them.
"""

from __future__ import annotations

from alembic import context, op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

PAST = """
    network_id uuid not null,
    id bigint generated always as identity,
    name text not null,
    replaced_at timestamptz not null,
    settings jsonb not null,
    primary key (network_id, id),
    foreign key (network_id, name) references profile (network_id, name)
"""


def upgrade() -> None:
    role = '"' + context.config.attributes["app_role"].replace('"', '""') + '"'
    # A day's sum of before is kept as one sale that nobody voids.
    op.execute("alter table unproved_use add column tx_id uuid not null default gen_random_uuid()")
    op.execute("alter table unproved_use add column noted_at timestamptz not null default now()")
    op.execute("alter table unproved_use alter column tx_id drop default, alter column noted_at drop default")
    op.execute("alter table unproved_use drop constraint unproved_use_pkey, add primary key (network_id, tx_id)")
    op.execute("create index unproved_by_day on unproved_use (network_id, device_id, day)")
    op.execute(f"revoke update on unproved_use from {role}")
    op.execute(f"grant delete on unproved_use to {role}")
    op.execute(f"create table profile_past ({PAST})")
    op.execute("alter table profile_past enable row level security")
    op.execute("alter table profile_past force row level security")
    mine = "network_id = current_setting('app.network_id')::uuid"
    op.execute(f"create policy one_network on profile_past using ({mine}) with check ({mine})")
    op.execute(f"grant select, insert on profile_past to {role}")


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
