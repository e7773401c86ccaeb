"""What each till may give of rules that are limited for all guests together, and which answer says so."""

from __future__ import annotations

from alembic import context, op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

TABLES = {
    "lease": """
        network_id uuid not null,
        device_id uuid not null,
        epoch bigint not null check (epoch >= 0),
        rule text not null,
        period text not null,
        granted bigint not null default 0 check (granted >= 0),
        offered bigint not null default 0 check (offered >= 0),
        given bigint not null default 0 check (given >= 0),
        used bigint not null default 0,
        expires_at timestamptz not null,
        primary key (network_id, rule, period, device_id, epoch),
        foreign key (network_id, device_id) references device (network_id, id)
    """,
    "lease_holder": """
        network_id uuid not null,
        device_id uuid not null,
        epoch bigint not null check (epoch >= 0),
        number bigint not null check (number > 0),
        incarnation uuid not null,
        expires_at timestamptz not null,
        primary key (network_id, device_id),
        foreign key (network_id, device_id) references device (network_id, id)
    """,
}


def upgrade() -> None:
    role = '"' + context.config.attributes["app_role"].replace('"', '""') + '"'
    mine = "network_id = current_setting('app.network_id')::uuid"
    for table, columns in TABLES.items():
        op.execute(f"create table {table} ({columns})")
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(f"create policy one_network on {table} using ({mine}) with check ({mine})")
        op.execute(f"grant select, insert, update on {table} to {role}")
    op.execute("create index lease_of_till on lease (network_id, device_id)")


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
