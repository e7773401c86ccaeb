"""What a check gave a guest stands beside its lot with the moment whose day it counts on, for the caps of a day.

It was added up from transactions, entries and lots at every push: a tenth of its time, and more with every sale.
"""

from __future__ import annotations

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

# What may still count: a fact may be seven days old and begins at most a day before its own. Of what a check gave and
# was held in part, what was held counts from when a manager lets it go; of exchanges before today it does not.
FILL = """
    do $$
    declare n uuid;
    begin
        for n in select network_id from network loop
            perform set_config('app.network_id', n::text, true);
            update lot l set granted_at = s.at from (
                select m.id as lot, greatest(x.effective_at, x.recorded_at - interval '7 days') as at
                from ledger_tx x
                join lot m on m.network_id = x.network_id and m.tx_id = x.id
                where x.network_id = n and x.recorded_at >= now() - interval '9 days'
                    and x.origin in ('till', 'online') and x.kind in ('sale', 'exchange')
                    and (x.kind = 'sale' or exists (
                        select from entry e
                        -- What is earned is paid by the leg before it; what is given back by a return is not.
                        join entry p on p.network_id = e.network_id and p.tx_id = e.tx_id and p.leg = e.leg - 1
                            and p.amount = -e.amount
                        join account a on a.network_id = p.network_id and a.id = p.account_id
                            and a.kind = 'promo_cost'
                        where e.network_id = n and e.tx_id = x.id and e.lot_id = m.id and e.amount > 0))
                union all
                select e.lot_id, greatest(x.effective_at, c.recorded_at - interval '7 days')
                from ledger_tx c
                join ledger_tx x on x.network_id = c.network_id and x.id = c.reverses_id
                    and c.natural_key = 'claim:' || x.id and x.kind in ('sale', 'exchange')
                join lateral (
                    select b.leg, b.amount, row_number() over (order by b.leg) as place from entry b
                    join account a on a.network_id = b.network_id and a.id = b.account_id and a.kind = 'suspense'
                    where b.network_id = n and b.tx_id = x.id
                ) w on w.amount > 0
                join entry p on p.network_id = x.network_id and p.tx_id = x.id and p.leg = w.leg - 1
                    and p.amount = -w.amount
                join account a on a.network_id = p.network_id and a.id = p.account_id and a.kind = 'promo_cost'
                -- A claim mirrors each leg by two: out of suspense, then to the guest.
                join entry e on e.network_id = c.network_id and e.tx_id = c.id and e.leg = 2 * w.place - 1
                    and e.lot_id is not null
                where c.network_id = n and c.recorded_at >= now() - interval '9 days' and c.origin = 'server'
                    and c.kind = 'transfer'
            ) s where l.network_id = n and l.id = s.lot;
        end loop;
    end $$
"""


def upgrade() -> None:
    op.execute("alter table lot add column granted_at timestamptz")
    op.execute(FILL)
    op.execute("create index lot_granted on lot (network_id, account_id, granted_at) where granted_at is not null")


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
