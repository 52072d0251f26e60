"""The first schema.

Revision 0001, after nothing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table, and the full-text indexes with their triggers."""
    op.create_table(
        "edit",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("of_id", KEY, nullable=True),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("actor", sa.Text(), server_default=sa.text("'human'"), nullable=False),
        sa.Column("edit_group", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("num_changes", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("changes", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("kind IN ('do', 'undo', 'redo')", name=op.f("ck_edit_kind")),
        sa.CheckConstraint("state IN ('done', 'undone', 'discarded', 'note')", name=op.f("ck_edit_state")),
        sa.ForeignKeyConstraint(
            ["of_id"], ["edit.id"], name=op.f("fk_edit_of_id_edit"), initially="DEFERRED", deferrable=True
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_edit")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_edit_state", "edit", ["state", "step"], unique=False)

    op.create_table(
        "image_root",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image_root")),
        sa.UniqueConstraint("path", name=op.f("uq_image_root_path")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "run",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'running'"), nullable=False),
        sa.Column("created_at", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("ended_at", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("config", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("metrics", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("error", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    op.create_index("ix_run_created_at", "run", ["created_at"], unique=False)

    op.create_table(
        "saved_search",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_search")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "setting",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_setting")),
    )
    op.create_table(
        "superclass",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("color", sa.Text(), server_default=sa.text("'#808080'"), nullable=False),
        sa.Column("is_retired", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_superclass")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "checkpoint",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("parent_id", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("created_at", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("metrics", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name=op.f("fk_checkpoint_run_id_run"), initially="DEFERRED", deferrable=True
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checkpoint")),
    )
    op.create_index("ix_checkpoint_run_id", "checkpoint", ["run_id"], unique=False)

    op.create_table(
        "image",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("root_id", KEY, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("format", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("problem", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("note", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("is_verified", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("split", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("region_states", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint(
            "problem IN ('', 'missing', 'changed', 'damaged', 'unreadable', 'too large')", name=op.f("ck_image_problem")
        ),
        sa.CheckConstraint("height BETWEEN 0 AND 1000000000", name=op.f("ck_image_height")),
        sa.CheckConstraint("region_states BETWEEN 0 AND 4095", name=op.f("ck_image_region_states")),
        sa.CheckConstraint("width BETWEEN 0 AND 1000000000", name=op.f("ck_image_width")),
        sa.ForeignKeyConstraint(
            ["root_id"],
            ["image_root.id"],
            name=op.f("fk_image_root_id_image_root"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_image_sha256",
        "image",
        ["sha256"],
        unique=False,
        sqlite_where=sa.text("sha256 <> ''"),
        postgresql_where=sa.text("sha256 <> ''"),
    )
    op.create_index("ix_image_state", "image", ["region_states", "problem", "is_verified", "split"], unique=False)
    op.create_index("uq_image_root_id_path", "image", ["root_id", "path"], unique=True)

    op.create_table(
        "label_class",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("color", sa.Text(), server_default=sa.text("'#808080'"), nullable=False),
        sa.Column("is_retired", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("superclass_id", KEY, nullable=True),
        sa.Column("external_id", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.ForeignKeyConstraint(
            ["superclass_id"],
            ["superclass.id"],
            name=op.f("fk_label_class_superclass_id_superclass"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label_class")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_label_class_name", "label_class", ["name"], unique=False)

    op.create_table(
        "caption",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("image_id", KEY, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), server_default=sa.text("'imported'"), nullable=False),
        sa.Column("source", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("external_id", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.CheckConstraint("origin IN ('human', 'imported', 'model', 'edited')", name=op.f("ck_caption_origin")),
        sa.ForeignKeyConstraint(
            ["image_id"], ["image.id"], name=op.f("fk_caption_image_id_image"), initially="DEFERRED", deferrable=True
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_caption")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_caption_image_id", "caption", ["image_id"], unique=False)

    op.create_table(
        "heatmap_correction",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("image_id", KEY, nullable=False),
        sa.Column("class_id", KEY, nullable=False),
        sa.Column("kind", sa.Text(), server_default=sa.text("'add'"), nullable=False),
        sa.Column("shape", sa.Text(), nullable=False),
        sa.Column("checkpoint_id", sa.Text(), nullable=True),
        sa.Column("at", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.CheckConstraint("kind IN ('add', 'remove')", name=op.f("ck_heatmap_correction_kind")),
        sa.ForeignKeyConstraint(
            ["class_id"],
            ["label_class.id"],
            name=op.f("fk_heatmap_correction_class_id_label_class"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["image_id"],
            ["image.id"],
            name=op.f("fk_heatmap_correction_image_id_image"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_heatmap_correction")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_heatmap_correction_image_id", "heatmap_correction", ["image_id", "class_id"], unique=False)

    op.create_table(
        "image_class",
        sa.Column("image_id", KEY, nullable=False),
        sa.Column("class_id", KEY, nullable=False),
        sa.Column("presence", sa.Text(), server_default=sa.text("'unknown'"), nullable=False),
        sa.Column("origin", sa.Text(), server_default=sa.text("'human'"), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("source", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.CheckConstraint("origin IN ('human', 'imported', 'model', 'edited')", name=op.f("ck_image_class_origin")),
        sa.CheckConstraint("presence IN ('positive', 'negative', 'unknown')", name=op.f("ck_image_class_presence")),
        sa.CheckConstraint("score BETWEEN 0 AND 1", name=op.f("ck_image_class_score")),
        sa.ForeignKeyConstraint(
            ["class_id"],
            ["label_class.id"],
            name=op.f("fk_image_class_class_id_label_class"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["image_id"],
            ["image.id"],
            name=op.f("fk_image_class_image_id_image"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("image_id", "class_id", name=op.f("pk_image_class")),
    )
    op.create_index("ix_image_class_class_id", "image_class", ["class_id", "presence", "image_id"], unique=False)

    op.create_table(
        "region",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("image_id", KEY, nullable=False),
        sa.Column("x0", sa.Float(), nullable=False),
        sa.Column("y0", sa.Float(), nullable=False),
        sa.Column("x1", sa.Float(), nullable=False),
        sa.Column("y1", sa.Float(), nullable=False),
        sa.Column("phrase", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("class_id", KEY, nullable=True),
        sa.Column("review", sa.Text(), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("origin", sa.Text(), server_default=sa.text("'human'"), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("source", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("external_id", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("caption_id", KEY, nullable=True),
        sa.Column("span_start", sa.Integer(), nullable=True),
        sa.Column("span_end", sa.Integer(), nullable=True),
        sa.Column("mask", sa.Text(), nullable=True),
        sa.Column("is_crowd", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("is_locked", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.CheckConstraint("origin IN ('human', 'imported', 'model', 'edited')", name=op.f("ck_region_origin")),
        sa.CheckConstraint("review IN ('pending', 'accepted', 'rejected')", name=op.f("ck_region_review")),
        sa.CheckConstraint("(span_start IS NULL) = (span_end IS NULL)", name=op.f("ck_region_span")),
        sa.CheckConstraint("score BETWEEN -1e300 AND 1e300", name=op.f("ck_region_score")),
        sa.CheckConstraint("x0 < x1 AND y0 < y1", name=op.f("ck_region_area")),
        sa.CheckConstraint("x0 BETWEEN 0 AND 1", name=op.f("ck_region_x0")),
        sa.CheckConstraint("x1 BETWEEN 0 AND 1", name=op.f("ck_region_x1")),
        sa.CheckConstraint("y0 BETWEEN 0 AND 1", name=op.f("ck_region_y0")),
        sa.CheckConstraint("y1 BETWEEN 0 AND 1", name=op.f("ck_region_y1")),
        sa.ForeignKeyConstraint(
            ["caption_id"],
            ["caption.id"],
            name=op.f("fk_region_caption_id_caption"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["class_id"],
            ["label_class.id"],
            name=op.f("fk_region_class_id_label_class"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["image_id"], ["image.id"], name=op.f("fk_region_image_id_image"), initially="DEFERRED", deferrable=True
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_region")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_region_caption_id", "region", ["caption_id"], unique=False, sqlite_where=sa.text("caption_id IS NOT NULL")
    )
    op.create_index("ix_region_class_id", "region", ["class_id", "image_id"], unique=False)
    op.create_index(
        "ix_region_external_id",
        "region",
        ["source", "external_id"],
        unique=False,
        sqlite_where=sa.text("external_id <> ''"),
    )
    op.create_index("ix_region_image_id", "region", ["image_id"], unique=False)
    op.create_index(
        "ix_region_phrase",
        "region",
        ["phrase"],
        unique=False,
        sqlite_where=sa.text("phrase <> ''"),
        postgresql_where=sa.text("phrase <> ''"),
    )

    for words, table, column in (
        ("region_words", "region", "phrase"),
        ("caption_words", "caption", "text"),
        ("image_words", "image", "path"),
    ):
        create_words(words, table, column)


def create_words(words: str, table: str, column: str) -> None:
    """One full-text index and its triggers."""
    drop = (
        f"INSERT INTO {words}({words}, rowid, {column}) SELECT 'delete', old.id, old.{column} WHERE old.{column} <> ''"
    )
    put = f"INSERT INTO {words}(rowid, {column}) SELECT new.id, new.{column} WHERE new.{column} <> ''"
    op.execute(
        f"CREATE VIRTUAL TABLE {words} USING fts5({column}, content='{table}', content_rowid='id', "
        f"columnsize=0, tokenize='unicode61 remove_diacritics 2')"
    )
    op.execute(f"CREATE TRIGGER {words}_insert AFTER INSERT ON {table} WHEN new.{column} <> '' BEGIN {put}; END")
    op.execute(f"CREATE TRIGGER {words}_delete AFTER DELETE ON {table} WHEN old.{column} <> '' BEGIN {drop}; END")
    op.execute(
        f"CREATE TRIGGER {words}_update AFTER UPDATE OF {column} ON {table} "
        f"WHEN old.{column} <> new.{column} BEGIN {drop}; {put}; END"
    )


def downgrade() -> None:
    """There is nothing before the first."""
    raise NotImplementedError("the first schema cannot be taken back; restore a backup")
