"""What requests need: holds, short codes, tokens of other systems, receipts to be found, claims that end a life."""

from __future__ import annotations

from alembic import context, op

revision = "0010"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = {
    "life_claim": """
        network_id uuid not null,
        device_id uuid not null,
        incarnation uuid not null,
        at timestamptz not null,
        ended boolean not null default false,
        primary key (network_id, device_id, incarnation),
        foreign key (network_id, device_id) references device (network_id, id)
    """,
    # `asked` is the guest as the till named them, who may have been merged into the account's owner since.
    "hold": """
        network_id uuid not null,
        id uuid not null,
        account_id bigint not null,
        asked uuid not null,
        amount bigint not null check (amount > 0),
        device_id uuid not null,
        state text not null default 'pending' check (state in ('pending', 'posted', 'voided', 'expired')),
        made_at timestamptz not null,
        expires_at timestamptz not null,
        settled_at timestamptz,
        tx_id uuid,
        primary key (network_id, id),
        foreign key (network_id, account_id) references account (network_id, id),
        foreign key (network_id, device_id) references device (network_id, id),
        check ((state = 'pending') = (settled_at is null))
    """,
    "short_code": """
        network_id uuid not null,
        code_hash bytea not null check (length(code_hash) = 32),
        guest_id uuid not null,
        expires_at timestamptz not null,
        used_at timestamptz,
        used_by uuid,
        primary key (network_id, code_hash),
        foreign key (network_id, guest_id) references guest (network_id, id)
    """,
    "api_token": """
        network_id uuid not null references network,
        id uuid not null,
        name text not null,
        store_id uuid not null,
        token_hash bytea not null check (length(token_hash) = 32),
        made_at timestamptz not null,
        made_by uuid,
        last_used timestamptz,
        revoked_at timestamptz,
        primary key (network_id, id),
        foreign key (network_id, store_id) references store (network_id, id)
    """,
}
# The number printed on a receipt stands in the payload alone; a refund at another till begins with it.
RECEIPTS = """
    do $$
    declare n uuid;
    begin
        alter table ledger_tx disable trigger immutable;
        for n in select network_id from network loop
            perform set_config('app.network_id', n::text, true);
            update ledger_tx set receipt_no = convert_from(payload, 'UTF8')::jsonb ->> 'receipt_no'
            where network_id = n and kind = 'sale' and origin = 'till';
        end loop;
        alter table ledger_tx enable trigger immutable;
    end $$
"""
INDEXES = (
    "create index hold_pending on hold (network_id, account_id) where state = 'pending'",
    "create index short_code_by_guest on short_code (network_id, guest_id)",
    "create index ledger_tx_by_receipt on ledger_tx (network_id, receipt_no) where receipt_no is not null",
)


def upgrade() -> None:
    role = '"' + context.config.attributes["app_role"].replace('"', '""') + '"'
    op.execute("alter table ledger_tx add column receipt_no text")
    op.execute(RECEIPTS)
    for table, columns in TABLES.items():
        op.execute(f"create table {table} ({columns})")
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        mine = "network_id = current_setting('app.network_id')::uuid"
        op.execute(f"create policy one_network on {table} using ({mine}) with check ({mine})")
        op.execute(f"grant select, insert, update on {table} to {role}")
    for index in INDEXES:
        op.execute(index)


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
