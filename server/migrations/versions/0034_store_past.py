"""What held in a store before it was given another profile, as `profile_past` keeps what a profile was before."""

from __future__ import annotations

from alembic import context, op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

PAST = """
    network_id uuid not null,
    id bigint generated always as identity,
    store_id uuid not null,
    replaced_at timestamptz not null,
    settings jsonb not null,
    primary key (network_id, id),
    foreign key (network_id, store_id) references store (network_id, id)
"""


def upgrade() -> None:
    role = '"' + context.config.attributes["app_role"].replace('"', '""') + '"'
    # Since when the store has its profile: what that was before never held there.
    op.execute("alter table store add column profile_since timestamptz not null default '-infinity'")
    op.execute(f"grant update (profile, profile_since) on store to {role}")
    op.execute(f"create table store_past ({PAST})")
    op.execute("alter table store_past enable row level security")
    op.execute("alter table store_past force row level security")
    mine = "network_id = current_setting('app.network_id')::uuid"
    op.execute(f"create policy one_network on store_past using ({mine}) with check ({mine})")
    op.execute(f"grant select, insert on store_past to {role}")


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
