"""Rules of phrases, and the log of edits found by region.

Revision 0003, after 0002.  Only tables are added; ``edit_region`` is filled from the log, whose lines are left alone.
"""

import zlib

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class _Value(msgspec.Struct):
    """Any value of a change, as schema 2 wrote it; only those of regions are looked at."""

    id: int = 0


_lines = msgspec.json.Decoder(list[tuple[str, _Value | None, _Value | None]])


def upgrade() -> None:
    """Add what schema 3 has."""
    op.create_table(
        "phrase_rule",
        sa.Column("phrase", sa.Text(), nullable=False),
        sa.Column("becomes", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("class_id", KEY, nullable=True),
        sa.ForeignKeyConstraint(
            ["class_id"],
            ["label_class.id"],
            name=op.f("fk_phrase_rule_class_id_label_class"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("phrase", name=op.f("pk_phrase_rule")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "edit_region",
        sa.Column("region_id", KEY, autoincrement=False, nullable=False),
        sa.Column("edit_id", KEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["edit_id"], ["edit.id"], name=op.f("fk_edit_region_edit_id_edit"), initially="DEFERRED", deferrable=True
        ),
        sa.PrimaryKeyConstraint("region_id", "edit_id", name=op.f("pk_edit_region")),
        sqlite_with_rowid=False,
    )
    _fill_edit_region(op.get_bind())


def _fill_edit_region(connection: sa.Connection) -> None:
    edit = sa.table("edit", sa.column("id"), sa.column("kind"), sa.column("changes"))
    edit_region = sa.table("edit_region", sa.column("region_id"), sa.column("edit_id"))
    for key in connection.execute(sa.select(edit.c.id).where(edit.c.kind == "do").order_by(edit.c.id)).scalars().all():
        stored = connection.execute(sa.select(edit.c.changes).where(edit.c.id == key)).scalar()
        if rows := [{"region_id": region_id, "edit_id": key} for region_id in _regions_of(stored or b"[]")]:
            connection.execute(sa.insert(edit_region), rows)


def _regions_of(stored: bytes) -> list[int]:
    """The regions that a line speaks of; none of a damaged one, which ``locstudio check`` reports as before."""
    try:
        lines = _lines.decode(zlib.decompress(stored) if stored[:1] == b"\x78" else stored)
    except (zlib.error, msgspec.MsgspecError):
        return []
    values = [before or after for kind, before, after in lines if kind == "region"]
    return sorted({value.id for value in values if value is not None})


def downgrade() -> None:
    """A newer project is not taken back; the backup that was made before is whole."""
    raise NotImplementedError("schema 3 cannot be taken back; restore the backup that was made before it")
