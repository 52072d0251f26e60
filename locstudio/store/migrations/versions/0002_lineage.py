"""Where a run and a checkpoint come from, events of runs, choices of a person, and the revision of every edit.

Revision 0002, after 0001.  Only columns and tables are added; no row is touched.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what schema 2 has."""
    for table, columns in {
        "run": ("snapshot_sha256", "code_version", "parent_run"),
        "checkpoint": ("snapshot_sha256", "code_version", "note", "gate"),
    }.items():
        for name in columns:
            op.add_column(table, sa.Column(name, sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("edit", sa.Column("revision", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.create_index("ix_edit_revision", "edit", ["revision", "of_id"], unique=False)
    op.create_table(
        "run_event",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "sequence", name=op.f("pk_run_event")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "change_choice",
        sa.Column("old_id", sa.Text(), nullable=False),
        sa.Column("new_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("choice", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("old_id", "new_id", "key", name=op.f("pk_change_choice")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """A newer project is not taken back; the backup that was made before is whole."""
    raise NotImplementedError("schema 2 cannot be taken back; restore the backup that was made before it")
