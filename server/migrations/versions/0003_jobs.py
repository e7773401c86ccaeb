"""What the nightly work needs: how far it has come, tiers given by hand, every change of a tier, opening figures."""

from __future__ import annotations

from alembic import context, op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = {
    "job_progress": """
        network_id uuid not null references network,
        job text not null,
        period text not null,
        after uuid,
        done integer not null default 0,
        started_at timestamptz not null default now(),
        finished_at timestamptz,
        primary key (network_id, job, period)
    """,
    "tier_grant": """
        network_id uuid not null,
        id uuid not null,
        guest_id uuid not null,
        tier text not null,
        since timestamptz not null,
        until timestamptz,
        reason text not null default '',
        operator uuid,
        primary key (network_id, id),
        foreign key (network_id, guest_id) references guest (network_id, id)
    """,
    "tier_change": """
        network_id uuid not null,
        guest_id uuid not null,
        at timestamptz not null,
        before text not null,
        after text not null,
        cause text not null,
        measured bigint not null,
        primary key (network_id, guest_id, at, after),
        foreign key (network_id, guest_id) references guest (network_id, id)
    """,
}
APPEND_ONLY = ("tier_change", "tier_grant")
# Before this, what a guest brought along stood in the running figures alone.
OPENING = """
    do $$
    declare n uuid;
    begin
        for n in select network_id from network loop
            perform set_config('app.network_id', n::text, true);
            update guest_state s set opening_spend = greatest(0, s.spend - coalesce(t.spend, 0)),
                opening_visits = greatest(0, s.visits - coalesce(t.visits, 0)),
                opening_earned = greatest(0, s.earned - coalesce(t.earned, 0))
            from guest_state o left join (
                select guest_id, count(*) as visits,
                    sum((convert_from(payload, 'UTF8')::jsonb ->> 'money_total')::bigint) as spend,
                    sum((convert_from(payload, 'UTF8')::jsonb #>> '{points,earned}')::bigint) as earned
                from ledger_tx where network_id = n and kind = 'sale' and guest_id is not null group by guest_id
            ) t on t.guest_id = o.guest_id
            where s.network_id = n and o.network_id = n and o.guest_id = s.guest_id;
        end loop;
    end $$
"""


def upgrade() -> None:
    role = '"' + context.config.attributes["app_role"].replace('"', '""') + '"'
    op.execute(
        "alter table guest_state add column opening_spend bigint not null default 0,"
        " add column opening_visits bigint not null default 0, add column opening_earned bigint not null default 0"
    )
    op.execute(OPENING)
    for table, columns in TABLES.items():
        op.execute(f"create table {table} ({columns})")
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        mine = "network_id = current_setting('app.network_id')::uuid"
        op.execute(f"create policy one_network on {table} using ({mine}) with check ({mine})")
        op.execute(f"grant select, insert on {table} to {role}")
        if table not in APPEND_ONLY:
            op.execute(f"grant update on {table} to {role}")
    op.execute("create index tier_grant_by_guest on tier_grant (network_id, guest_id)")
    op.execute("create index lot_ending on lot (network_id, expires_at) where state = 'open' and remaining > 0")


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
