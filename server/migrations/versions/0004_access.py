"""People's names beside what they decided, their logins, and how often something was tried."""

from __future__ import annotations

from alembic import context, op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = {
    "staff_login": """
        network_id uuid not null,
        login text not null,
        staff_id uuid not null,
        password_hash text not null,
        changed_at timestamptz not null default now(),
        primary key (network_id, login),
        unique (network_id, staff_id),
        foreign key (network_id, staff_id) references staff (network_id, id)
    """,
    "staff_session": """
        network_id uuid not null,
        id uuid not null,
        staff_id uuid not null,
        refresh_hash bytea not null check (length(refresh_hash) = 32),
        issued_at timestamptz not null,
        expires_at timestamptz not null,
        ended_at timestamptz,
        primary key (network_id, id),
        foreign key (network_id, staff_id) references staff (network_id, id)
    """,
    "attempts": """
        network_id uuid not null references network,
        what text not null,
        subject text not null,
        recent timestamptz[] not null default '{}',
        day text not null default '',
        of_day integer not null default 0,
        primary key (network_id, what, subject)
    """,
}


def upgrade() -> None:
    role = '"' + context.config.attributes["app_role"].replace('"', '""') + '"'
    op.execute("alter table quarantine add column note text not null default ''")
    op.execute("alter table exception add column note text not null default ''")
    for table, columns in TABLES.items():
        op.execute(f"create table {table} ({columns})")
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        mine = "network_id = current_setting('app.network_id')::uuid"
        op.execute(f"create policy one_network on {table} using ({mine}) with check ({mine})")
        op.execute(f"grant select, insert, update on {table} to {role}")
    # Erasing a guest takes the cards with it: a handle on an old photograph must lead nowhere.
    op.execute(f"grant delete on credential to {role}")


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
