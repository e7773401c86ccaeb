"""Guests whom tills register: what else they told, sealed, and postings of unknown guests found by who they were."""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # E-mail, language, comment and consents, canonical JSON under the guest's own key: gone with it.
    op.execute("alter table guest add column more_sealed bytea")
    unknown = "where kind = 'UNKNOWN_GUEST'"
    op.execute(f"create index exception_by_guest on exception (network_id, (facts ->> 'guest')) {unknown}")
    op.execute(
        f"create index exception_by_handle on exception (network_id, (facts #>> '{{credential,handle}}')) {unknown}"
    )


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
