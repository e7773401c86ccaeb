"""What a posting's rows refer to is looked for once a statement instead of once a row.

A foreign key asks for each row by itself and locks what it finds, so that nobody takes it away meanwhile: of a pushed
sale that was a third of all that PostgreSQL did. But nothing can be taken away here. Transactions are append-only for
everybody, accounts and lots from now on keep their rows and their keys, so it is enough that they are there when
somebody first refers to them. Row-level security shows the looker its own network alone, as it did the rows' writer.
"""

from __future__ import annotations

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

# Table, column and what it refers to.
REFERENCES = (
    ("entry", "tx_id", "ledger_tx"),
    ("entry", "account_id", "account"),
    ("lot", "tx_id", "ledger_tx"),
    ("lot", "account_id", "account"),
    ("lot_use", "tx_id", "ledger_tx"),
    ("lot_use", "lot_id", "lot"),
    ("reprice_queue", "tx_id", "ledger_tx"),
)
# Transactions and entries refuse every change since the first migration. Of the others these columns stay as they are.
KEYS = {
    "account": ("network_id", "id"),
    "lot": ("network_id", "id", "tx_id", "account_id"),
    "lot_use": ("network_id", "tx_id", "lot_id"),
    "reprice_queue": ("network_id", "tx_id"),
}
REFUSAL = """
    create function refuse_severing() returns trigger language plpgsql as $$
    begin
        raise exception 'what rows of % refer to, and who refers to them, stays', tg_table_name
            using errcode = 'insufficient_privilege';
    end $$
"""
# However few rows a table had when the plan was made, the look is one into the index for each row.
LOOK = """
    create function {table}_refers() returns trigger language plpgsql
        set enable_seqscan = off set enable_bitmapscan = off as $$
    begin
        if {missing} then
            raise exception 'a row of {table} refers to nothing' using errcode = 'foreign_key_violation';
        end if;
        return null;
    end $$
"""


def upgrade() -> None:
    op.execute(REFUSAL)
    for table, keys in KEYS.items():
        changed = " or ".join(f"old.{key} is distinct from new.{key}" for key in keys)
        op.execute(
            f"create trigger keys_stay before update of {', '.join(keys)} on {table}"
            f" for each row when ({changed}) execute function refuse_severing()"
        )
    for table in ("account", "lot"):
        op.execute(
            f"create trigger rows_stay before delete or truncate on {table}"
            " for each statement execute function refuse_severing()"
        )
    for table in dict.fromkeys(table for table, _, _ in REFERENCES):
        looks = [
            # The first row from its key on: of an empty table, as plans are first made for, an index of another order
            # looks as good for one row, and is read whole for each row once the table has grown.
            # Each is looked for once: a sale has two entries, and one of them is of the same account as all others'.
            f"exists (select from (select distinct network_id, {column} from fresh) f where"
            f" (select r.id from {parent} r where r.network_id = f.network_id and r.id >= f.{column}"
            f" order by r.network_id, r.id limit 1) is distinct from f.{column})"
            for child, column, parent in REFERENCES
            if child == table
        ]
        op.execute(LOOK.format(table=table, missing=" or ".join(looks)))
        op.execute(
            f"create trigger refers after insert on {table} referencing new table as fresh"
            f" for each statement execute function {table}_refers()"
        )
        for child, column, _ in REFERENCES:
            if child == table:
                op.execute(f"alter table {table} drop constraint {table}_network_id_{column}_fkey")


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
