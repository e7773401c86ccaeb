"""Networks, stores, tills, guests, programs, the ledger and the feed."""

from __future__ import annotations

from alembic import context, op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Bytes of a check: 8 handle, 16 half, 32 hash or key. Times are timestamptz; what a record claims stays int64 ms.
TABLES = {
    "network": """
        network_id uuid primary key,
        name text not null,
        kind text not null check (kind in ('restaurant', 'shop')),
        currency text not null,
        zone text not null,
        root_pub bytea not null check (length(root_pub) = 32),
        recovery_pub bytea not null check (length(recovery_pub) = 32),
        created_at timestamptz not null default now()
    """,
    "store": """
        network_id uuid not null references network,
        id uuid not null,
        name text not null,
        zone text not null,
        currency text not null,
        profile text not null,
        primary key (network_id, id)
    """,
    "profile": """
        network_id uuid not null references network,
        name text not null,
        settings jsonb not null,
        primary key (network_id, name)
    """,
    "staff": """
        network_id uuid not null references network,
        id uuid not null,
        name text not null,
        role text not null check (role in ('cashier', 'manager', 'owner')),
        stores uuid[] not null default '{}',
        pin_hash text,
        state text not null default 'active' check (state in ('active', 'left')),
        primary key (network_id, id)
    """,
    "device": """
        network_id uuid not null references network,
        id uuid not null,
        store_id uuid not null,
        name text not null,
        pubkey bytea not null check (length(pubkey) = 32),
        token_hash bytea check (length(token_hash) = 32),
        state text not null check (state in ('pending', 'active', 'suspended', 'revoked', 'cloned', 'void')),
        limits_profile text,
        created_at timestamptz not null default now(),
        last_seen timestamptz,
        revoked_at timestamptz,
        primary key (network_id, id),
        unique (network_id, pubkey),
        foreign key (network_id, store_id) references store (network_id, id)
    """,
    "device_epoch": """
        network_id uuid not null,
        device_id uuid not null,
        epoch bigint not null check (epoch >= 0),
        branch integer not null default 0 check (branch >= 0),
        head_seq bigint not null,
        head_hash bytea not null check (length(head_hash) = 32),
        count bigint not null default 0,
        cum_count bigint not null default 0,
        cum_earned bigint not null default 0,
        cum_redeemed bigint not null default 0,
        parent_epoch bigint,
        parent_head bytea,
        forked_at bigint,
        opened_reason text not null default 'enrol',
        opened_at timestamptz not null default now(),
        closed_at timestamptz,
        primary key (network_id, device_id, epoch, branch),
        foreign key (network_id, device_id) references device (network_id, id)
    """,
    "pairing": """
        network_id uuid not null references network,
        id uuid not null,
        store_id uuid not null,
        code_hash bytea not null check (length(code_hash) = 32),
        state text not null default 'open' check (state in ('open', 'started', 'confirmed', 'finished', 'void')),
        expires_at timestamptz not null,
        device_id uuid,
        nonce bytea,
        created_at timestamptz not null default now(),
        primary key (network_id, id),
        unique (network_id, code_hash),
        foreign key (network_id, store_id) references store (network_id, id),
        foreign key (network_id, device_id) references device (network_id, id)
    """,
    "keyset": """
        network_id uuid not null references network,
        version integer not null check (version > 0),
        document bytea not null,
        sig bytea not null check (length(sig) = 64),
        issued_at timestamptz not null default now(),
        primary key (network_id, version)
    """,
    "signing_key": """
        network_id uuid not null references network,
        kid smallint not null check (kid between 0 and 255),
        public bytea not null check (length(public) = 32),
        private_sealed bytea not null,
        not_before timestamptz not null,
        not_after timestamptz,
        revoked_at timestamptz,
        primary key (network_id, kid)
    """,
    "program": """
        network_id uuid not null references network,
        version integer not null check (version > 0),
        bytes bytea not null,
        hash bytea not null check (length(hash) = 32),
        published_at timestamptz not null default now(),
        published_by uuid,
        primary key (network_id, version)
    """,
    "guest": """
        network_id uuid not null references network,
        id uuid not null,
        name_sealed bytea,
        phone_sealed bytea,
        birthday_sealed bytea,
        phone_hash bytea check (length(phone_hash) = 32),
        phone_last4 text,
        member_no text,
        source text not null default 'server',
        created_at timestamptz not null default now(),
        primary key (network_id, id),
        unique (network_id, member_no)
    """,
    "guest_key": """
        network_id uuid not null,
        guest_id uuid not null,
        wrapped bytea not null,
        primary key (network_id, guest_id),
        foreign key (network_id, guest_id) references guest (network_id, id)
    """,
    "guest_state": """
        network_id uuid not null,
        guest_id uuid not null,
        tier text not null default '',
        tier_until timestamptz,
        tier_manual boolean not null default false,
        points bigint not null default 0,
        spend bigint not null default 0,
        visits bigint not null default 0,
        earned bigint not null default 0,
        visits_ever bigint not null default 0,
        first_visit date,
        segments text[] not null default '{}',
        tags text[] not null default '{}',
        coupons text[] not null default '{}',
        stamps jsonb not null default '{}',
        next_expiries jsonb not null default '[]',
        offline_limit bigint,
        flags bigint not null default 0,
        deleted boolean not null default false,
        merged_into uuid,
        primary key (network_id, guest_id),
        foreign key (network_id, guest_id) references guest (network_id, id)
    """,
    "credential": """
        network_id uuid not null,
        handle bytea not null check (length(handle) = 8),
        guest_id uuid not null,
        kind text not null check (kind in ('card', 'phone', 'wallet', 'pass', 'import')),
        state text not null default 'active' check (state in ('active', 'blocked', 'replaced')),
        generation integer not null default 0,
        last_root bytea,
        last_step bigint,
        last_counter bigint,
        created_at timestamptz not null default now(),
        primary key (network_id, handle),
        foreign key (network_id, guest_id) references guest (network_id, id)
    """,
    "account": """
        network_id uuid not null references network,
        id bigint generated always as identity,
        kind text not null check (kind in
            ('guest', 'liability', 'promo_cost', 'breakage', 'offline_loss', 'refund_loss', 'suspense')),
        guest_id uuid,
        store_id uuid,
        unit text not null,
        posted bigint not null default 0,
        pending_out bigint not null default 0,
        debt bigint not null default 0 check (debt >= 0),
        floor bigint not null default 0,
        version bigint not null default 0,
        primary key (network_id, id),
        unique nulls not distinct (network_id, kind, guest_id, store_id, unit),
        check ((kind = 'guest') = (guest_id is not null)),
        check ((kind in ('offline_loss', 'refund_loss')) = (store_id is not null))
    """,
    "ledger_tx": """
        network_id uuid not null references network,
        id uuid not null,
        kind text not null check (kind in
            ('sale', 'exchange', 'refund', 'void', 'hold', 'hold_void', 'hold_expire', 'adjust', 'transfer', 'expire',
             'reinstate', 'merge', 'write_off', 'register', 'shift_open', 'shift_close', 'override', 'epoch_open',
             'hold_result')),
        origin text not null check (origin in ('till', 'online', 'server', 'import')),
        device_id uuid,
        epoch bigint,
        branch integer,
        seq bigint,
        payload bytea,
        payload_hash bytea not null check (length(payload_hash) = 32),
        hash bytea check (length(hash) = 32),
        prev_hash bytea check (length(prev_hash) = 32),
        occurred_at bigint not null,
        clock_conf text not null default 'good' check (clock_conf in ('good', 'fair', 'bad')),
        effective_at timestamptz not null,
        recorded_at timestamptz not null default now(),
        guest_id uuid,
        store_id uuid,
        program_version integer,
        natural_key text,
        reverses_id uuid,
        flags bigint not null default 0,
        primary key (network_id, id),
        unique (network_id, natural_key),
        check ((origin = 'till') = (device_id is not null and epoch is not null and branch is not null
            and seq is not null and payload is not null and hash is not null and prev_hash is not null))
    """,
    "entry": """
        network_id uuid not null,
        tx_id uuid not null,
        leg smallint not null,
        account_id bigint not null,
        amount bigint not null check (amount <> 0),
        lot_id uuid,
        primary key (network_id, tx_id, leg),
        foreign key (network_id, tx_id) references ledger_tx (network_id, id),
        foreign key (network_id, account_id) references account (network_id, id)
    """,
    "lot": """
        network_id uuid not null,
        id uuid not null,
        account_id bigint not null,
        tx_id uuid not null,
        amount bigint not null check (amount > 0),
        remaining bigint not null check (remaining between 0 and amount),
        earned_at timestamptz not null,
        usable_at timestamptz,
        expires_at timestamptz,
        state text not null default 'open' check (state in ('open', 'held', 'spent', 'expired', 'reversed')),
        primary key (network_id, id),
        foreign key (network_id, account_id) references account (network_id, id),
        foreign key (network_id, tx_id) references ledger_tx (network_id, id)
    """,
    "lot_use": """
        network_id uuid not null,
        tx_id uuid not null,
        lot_id uuid not null,
        amount bigint not null check (amount > 0),
        primary key (network_id, tx_id, lot_id),
        foreign key (network_id, tx_id) references ledger_tx (network_id, id),
        foreign key (network_id, lot_id) references lot (network_id, id)
    """,
    "quarantine": """
        network_id uuid not null references network,
        id bigint generated always as identity,
        device_id uuid not null,
        epoch bigint not null,
        branch integer not null default 0,
        seq bigint not null,
        record_id uuid,
        raw bytea not null,
        raw_hash bytea not null check (length(raw_hash) = 32),
        hash bytea,
        prev_hash bytea,
        reason text not null
            check (reason in ('BAD_SCHEMA', 'BAD_HASH', 'ID_REUSE', 'WAITING_DEP', 'AFTER_REVOCATION')),
        detail text not null default '',
        state text not null default 'open' check (state in ('open', 'waiting_dependency', 'replayed', 'waived')),
        received_at timestamptz not null default now(),
        resolver uuid,
        resolved_at timestamptz,
        primary key (network_id, id),
        unique (network_id, device_id, epoch, seq, raw_hash)
    """,
    "exception": """
        network_id uuid not null references network,
        id bigint generated always as identity,
        kind text not null check (kind in
            ('OVERDRAFT', 'FORK', 'CLOCK', 'LATE_EXPIRY', 'REPLAY', 'HOLD_EXPIRED', 'REVOKED', 'ID_REUSE',
             'RULE_DRIFT', 'EVIDENCE', 'VELOCITY', 'HOLE', 'SALVAGED')),
        tx_id uuid,
        account_id bigint,
        device_id uuid,
        facts jsonb not null default '{}',
        severity text not null default 'warning' check (severity in ('notice', 'warning', 'alarm')),
        state text not null default 'open' check (state in ('open', 'resolved')),
        raised_at timestamptz not null default now(),
        resolver uuid,
        resolved_at timestamptz,
        resolution_tx uuid,
        primary key (network_id, id),
        unique (network_id, kind, tx_id)
    """,
    "reprice_queue": """
        network_id uuid not null,
        tx_id uuid not null,
        queued_at timestamptz not null default now(),
        primary key (network_id, tx_id),
        foreign key (network_id, tx_id) references ledger_tx (network_id, id)
    """,
    "counter": """
        network_id uuid not null references network,
        owner text not null,
        rule text not null,
        period text not null,
        used bigint not null default 0,
        primary key (network_id, owner, rule, period)
    """,
    "feed": """
        network_id uuid not null references network,
        tbl text not null,
        key text not null,
        feed_seq bigint not null,
        digest numeric(39),
        primary key (network_id, tbl, key)
    """,
    "feed_counter": """
        network_id uuid primary key references network,
        n bigint not null default 0,
        rows bigint not null default 0,
        digest numeric(39) not null default 0
    """,
    "feed_commit": """
        network_id uuid not null references network,
        n bigint not null,
        committed_at timestamptz not null default clock_timestamp(),
        primary key (network_id, n)
    """,
}

SERVER_META = """
    create table server_meta (
        number bigint generated always as identity primary key,
        incarnation uuid not null unique,
        previous_incarnation uuid,
        reason text not null,
        system_identifier bigint not null,
        timeline integer not null,
        started_at timestamptz not null default now()
    )
"""

INDEXES = (
    "create unique index feed_by_seq on feed (network_id, feed_seq)",
    "create index guest_by_phone on guest (network_id, phone_hash) where phone_hash is not null",
    "create index guest_state_merged on guest_state (network_id, merged_into) where merged_into is not null",
    "create index credential_by_guest on credential (network_id, guest_id)",
    # Not unique: a fork stores two records of one (epoch, seq), each in its branch, and none may be refused.
    "create index ledger_tx_by_seq on ledger_tx (network_id, device_id, epoch, branch, seq) where origin = 'till'",
    "create index ledger_tx_by_guest on ledger_tx (network_id, guest_id, recorded_at) where guest_id is not null",
    "create index ledger_tx_by_reversed on ledger_tx (network_id, reverses_id) where reverses_id is not null",
    "create index entry_by_account on entry (network_id, account_id)",
    "create index lot_open on lot (network_id, account_id, expires_at, earned_at, id) where state in ('open', 'held')",
    "create index quarantine_open on quarantine (network_id, state) where state in ('open', 'waiting_dependency')",
    "create index exception_open on exception (network_id, raised_at) where state = 'open'",
)

IMMUTABLE = ("ledger_tx", "entry")
APPEND_ONLY = (*IMMUTABLE, "keyset", "program", "feed_commit", "lot_use", "network")
DELETABLE = ("reprice_queue", "guest_key")

FUNCTIONS = (
    """
    create function refuse_change() returns trigger language plpgsql as $$
    begin
        raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
    end $$
    """,
    # What is told without naming a network: which networks there are and how long their feeds, nothing of them.
    """
    create function network_ids() returns setof uuid language sql stable security definer
        set search_path = pg_catalog, pg_temp
        begin atomic select network_id from public.network order by created_at, network_id; end
    """,
    """
    create function feed_counts() returns table (network_id uuid, n bigint) language sql stable security definer
        set search_path = pg_catalog, pg_temp
        begin atomic select c.network_id, c.n from public.feed_counter c; end
    """,
    "revoke all on function network_ids(), feed_counts() from public",
)


def upgrade() -> None:
    role = '"' + context.config.attributes["app_role"].replace('"', '""') + '"'
    op.execute(SERVER_META)
    for table, columns in TABLES.items():
        op.execute(f'create table "{table}" ({columns})')
    for index in INDEXES:
        op.execute(index)
    for function in FUNCTIONS:
        op.execute(function)
    for table in TABLES:
        op.execute(f'alter table "{table}" enable row level security')
        op.execute(f'alter table "{table}" force row level security')
        mine = "network_id = current_setting('app.network_id')::uuid"
        op.execute(f'create policy one_network on "{table}" using ({mine}) with check ({mine})')
        op.execute(f'grant select, insert on "{table}" to {role}')
        if table not in APPEND_ONLY:
            op.execute(f'grant update on "{table}" to {role}')
        if table in DELETABLE:
            op.execute(f'grant delete on "{table}" to {role}')
    for table in IMMUTABLE:
        op.execute(
            f"create trigger immutable before update or delete or truncate on {table}"
            " for each statement execute function refuse_change()"
        )
    op.execute(f"grant usage on schema public to {role}")
    op.execute(f"grant select, insert on server_meta to {role}")
    op.execute(f"grant select on alembic_version to {role}")
    op.execute(f"grant execute on function network_ids(), feed_counts() to {role}")
    for table in ("network", "feed_counter"):
        op.execute(f"create policy directory on {table} for select to current_user using (true)")


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
