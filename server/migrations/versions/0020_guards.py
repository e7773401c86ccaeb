"""What guards compare over all tills: which step of a rotating code paid where, and tier discounts by weak codes."""

from __future__ import annotations

from alembic import context, op

revision = "0020"
down_revision = "0013"
branch_labels = None
depends_on = None

TABLES = {
    "step_use": """
        network_id uuid not null,
        handle bytea not null,
        root bytea not null,
        step bigint not null,
        tx_id uuid not null,
        device_id uuid not null,
        primary key (network_id, handle, root, step, tx_id),
        foreign key (network_id, tx_id) references ledger_tx (network_id, id) deferrable initially deferred
    """,
    # The business day is the record's own text: it is compared and never reckoned with.
    "tier_use": """
        network_id uuid not null,
        guest_id uuid not null,
        business_day text not null,
        tx_id uuid not null,
        device_id uuid not null,
        amount bigint not null check (amount > 0),
        primary key (network_id, guest_id, business_day, tx_id),
        foreign key (network_id, tx_id) references ledger_tx (network_id, id) deferrable initially deferred
    """,
}


def upgrade() -> None:
    role = '"' + context.config.attributes["app_role"].replace('"', '""') + '"'
    for table, columns in TABLES.items():
        op.execute(f"create table {table} ({columns})")
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        mine = "network_id = current_setting('app.network_id')::uuid"
        op.execute(f"create policy one_network on {table} using ({mine}) with check ({mine})")
        op.execute(f"grant select, insert on {table} to {role}")
    # The expiry of a lot, found by the account it was taken from: a redemption made in time may need it back.
    op.execute("create index ledger_tx_expired on ledger_tx (network_id, guest_id) where kind = 'expire'")


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
