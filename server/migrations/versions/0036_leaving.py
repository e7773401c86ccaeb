"""Who leaves loses the login, so that it can be given to somebody else."""

from __future__ import annotations

from alembic import context, op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    role = '"' + context.config.attributes["app_role"].replace('"', '""') + '"'
    op.execute(f"grant delete on staff_login to {role}")


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup")
