"""How many points a till has redeemed on a day with codes that nobody can prove: a few outages of them at most."""

from __future__ import annotations

from alembic import context, op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

TABLE = """
    network_id uuid not null,
    device_id uuid not null,
    day integer not null,
    points bigint not null check (points > 0),
    primary key (network_id, device_id, day),
    foreign key (network_id, device_id) references device (network_id, id)
"""


def upgrade() -> None:
    role = '"' + context.config.attributes["app_role"].replace('"', '""') + '"'
    op.execute(f"create table unproved_use ({TABLE})")
    op.execute("alter table unproved_use enable row level security")
    op.execute("alter table unproved_use force row level security")
    mine = "network_id = current_setting('app.network_id')::uuid"
    op.execute(f"create policy one_network on unproved_use using ({mine}) with check ({mine})")
    op.execute(f"grant select, insert, update on unproved_use to {role}")


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
