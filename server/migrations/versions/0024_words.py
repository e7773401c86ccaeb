"""What a manager wrote beside points given or moved by hand: sealed, and gone with any guest it was about."""

from __future__ import annotations

from alembic import context, op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    role = '"' + context.config.attributes["app_role"].replace('"', '""') + '"'
    op.execute(
        """
        create table words (
            network_id uuid not null,
            tx_id uuid not null,
            guests uuid[] not null,
            sealed bytea not null,
            primary key (network_id, tx_id),
            foreign key (network_id, tx_id) references ledger_tx (network_id, id) deferrable initially deferred
        )
        """
    )
    op.execute("alter table words enable row level security")
    op.execute("alter table words force row level security")
    mine = "network_id = current_setting('app.network_id')::uuid"
    op.execute(f"create policy one_network on words using ({mine}) with check ({mine})")
    op.execute(f"grant select, insert, delete on words to {role}")


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
