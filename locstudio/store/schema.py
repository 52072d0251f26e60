"""The tables of a dataset, in the words of the glossary.

Everything here is plain SQLAlchemy Core and holds on SQLite and on PostgreSQL; what only SQLite has (full-text search
and its triggers) is in ``words``.  A change here needs a revision in ``migrations`` and a higher ``SCHEMA_VERSION``.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    false,
    text,
)
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

from locstudio.domain.regions import Origin, Problem, Review

APPLICATION_ID = 0x4C6F6353  # "LocS"
SCHEMA_VERSION = 3
HEAD_REVISION = "0003"
OLDEST_SNAPSHOT = 1
"""The oldest schema whose snapshots are read as they are: tables of content were only added since."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BigKey: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")


def _key() -> Column[int]:
    return Column("id", BigKey, primary_key=True, autoincrement=True)


def _ref(name: str, target: str, *, is_optional: bool = False) -> Column[int]:
    # Deferred, so that the order of changes inside one edit does not matter.
    foreign = ForeignKey(f"{target}.id", deferrable=True, initially="DEFERRED")
    return Column(name, BigKey, foreign, nullable=is_optional)


def _text(name: str, default: str = "") -> Column[str]:
    return Column(name, Text, nullable=False, server_default=text(f"'{default}'"))


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=false())


def _one_of(name: str, words: type[Review] | type[Origin] | type[Problem] | tuple[str, ...]) -> CheckConstraint:
    quoted = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{name} IN ({quoted})", name=name)


def _share(name: str) -> CheckConstraint:
    # Two-sided: NaN passes a one-sided check in PostgreSQL.
    return CheckConstraint(f"{name} BETWEEN 0 AND 1", name=name)


def _table(name: str, *parts: SchemaItem) -> Table:
    # AUTOINCREMENT: an identity is never given twice, not even after its row is gone.
    return Table(name, metadata, *parts, sqlite_autoincrement=True)


image_root = _table("image_root", _key(), Column("path", Text, nullable=False, unique=True))

image = _table(
    "image",
    _key(),
    _ref("root_id", "image_root"),
    Column("path", Text, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    _text("sha256"),
    Column("size_bytes", BigInteger, nullable=False, server_default=text("0")),
    Column("mtime_ns", BigInteger, nullable=False, server_default=text("0")),
    _text("format"),
    _text("problem"),
    _text("note"),
    _flag("is_verified"),
    _text("split"),
    # One bit for each pair of review and origin that a region of this image has: see ``filters.state_bit``.
    Column("region_states", Integer, nullable=False, server_default=text("0")),
    CheckConstraint("width BETWEEN 0 AND 1000000000", name="width"),
    CheckConstraint("height BETWEEN 0 AND 1000000000", name="height"),
    CheckConstraint("region_states BETWEEN 0 AND 4095", name="region_states"),
    _one_of("problem", Problem),
    Index("uq_image_root_id_path", "root_id", "path", unique=True),
    Index("ix_image_state", "region_states", "problem", "is_verified", "split"),
    Index("ix_image_sha256", "sha256", sqlite_where=text("sha256 <> ''"), postgresql_where=text("sha256 <> ''")),
)

superclass = _table(
    "superclass",
    _key(),
    Column("name", Text, nullable=False),
    _text("color", "#808080"),
    _flag("is_retired"),
)

label_class = _table(
    "label_class",
    _key(),
    Column("name", Text, nullable=False),
    _text("color", "#808080"),
    _flag("is_retired"),
    _ref("superclass_id", "superclass", is_optional=True),
    _text("external_id"),
    Index("ix_label_class_name", "name"),
)

image_class = Table(
    "image_class",
    metadata,
    Column("image_id", BigKey, ForeignKey("image.id", deferrable=True, initially="DEFERRED"), primary_key=True),
    Column("class_id", BigKey, ForeignKey("label_class.id", deferrable=True, initially="DEFERRED"), primary_key=True),
    _text("presence", "unknown"),
    _text("origin", "human"),
    Column("score", Float),
    _text("source"),
    _one_of("presence", ("positive", "negative", "unknown")),
    _one_of("origin", Origin),
    _share("score"),
    Index("ix_image_class_class_id", "class_id", "presence", "image_id"),
)

phrase_rule = Table(
    "phrase_rule",
    metadata,
    # What a phrase that a run proposes is taken for: another phrase, a class, or both.
    Column("phrase", Text, primary_key=True),
    _text("becomes"),
    _ref("class_id", "label_class", is_optional=True),
    sqlite_with_rowid=False,
)

caption = _table(
    "caption",
    _key(),
    _ref("image_id", "image"),
    Column("text", Text, nullable=False),
    _text("origin", "imported"),
    _text("source"),
    _text("external_id"),
    _one_of("origin", Origin),
    Index("ix_caption_image_id", "image_id"),
)

region = _table(
    "region",
    _key(),
    _ref("image_id", "image"),
    Column("x0", Float, nullable=False),
    Column("y0", Float, nullable=False),
    Column("x1", Float, nullable=False),
    Column("y1", Float, nullable=False),
    _text("phrase"),
    _ref("class_id", "label_class", is_optional=True),
    _text("review", "pending"),
    _text("origin", "human"),
    Column("score", Float),
    _text("source"),
    _text("external_id"),
    _ref("caption_id", "caption", is_optional=True),
    Column("span_start", Integer),
    Column("span_end", Integer),
    Column("mask", Text),
    _flag("is_crowd"),
    _flag("is_locked"),
    _share("x0"),
    _share("y0"),
    _share("x1"),
    _share("y1"),
    CheckConstraint("x0 < x1 AND y0 < y1", name="area"),
    CheckConstraint("score BETWEEN -1e300 AND 1e300", name="score"),
    CheckConstraint("(span_start IS NULL) = (span_end IS NULL)", name="span"),
    _one_of("review", Review),
    _one_of("origin", Origin),
    Index("ix_region_image_id", "image_id"),
    Index("ix_region_class_id", "class_id", "image_id"),
    Index("ix_region_caption_id", "caption_id", sqlite_where=text("caption_id IS NOT NULL")),
    Index("ix_region_phrase", "phrase", sqlite_where=text("phrase <> ''"), postgresql_where=text("phrase <> ''")),
    Index("ix_region_external_id", "source", "external_id", sqlite_where=text("external_id <> ''")),
)

heatmap_correction = _table(
    "heatmap_correction",
    _key(),
    _ref("image_id", "image"),
    _ref("class_id", "label_class"),
    _text("kind", "add"),
    Column("shape", Text, nullable=False),  # JSON: strokes or polygon in the unit frame, with their radius
    Column("checkpoint_id", Text),
    _text("at"),
    _one_of("kind", ("add", "remove")),
    Index("ix_heatmap_correction_image_id", "image_id", "class_id"),
)

run = Table(
    "run",
    metadata,
    Column("id", Text, primary_key=True),  # the run folder's name
    Column("kind", Text, nullable=False),
    _text("title"),
    _text("status", "running"),
    _text("created_at"),
    _text("ended_at"),
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    _text("config", "{}"),
    _text("metrics", "{}"),
    _text("error"),
    _text("snapshot_sha256"),
    _text("code_version"),
    _text("parent_run"),
    Index("ix_run_created_at", "created_at"),
)

run_event = Table(
    "run_event",
    metadata,
    # Not a reference: events are taken in while a run goes on, and also of runs that this dataset never started.
    Column("run_id", Text, primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("step", BigInteger),
    Column("body", Text, nullable=False),  # the message, as JSON
    sqlite_with_rowid=False,
)

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("id", Text, primary_key=True),  # "cloc-" and the beginning of its hash
    Column("model", Text, nullable=False),
    _text("name"),
    Column("path", Text, nullable=False),
    Column("run_id", Text, ForeignKey("run.id", deferrable=True, initially="DEFERRED")),
    _text("parent_id"),
    _text("created_at"),
    _text("metrics", "{}"),
    _flag("is_active"),
    _text("snapshot_sha256"),
    _text("code_version"),
    _text("note"),
    _text("gate"),  # JSON: what decided that it may be used
    Index("ix_checkpoint_run_id", "run_id"),
)

change_choice = Table(
    "change_choice",
    metadata,
    # What a person chose of what changed from one checkpoint to another, by the change's own key.
    Column("old_id", Text, primary_key=True),
    Column("new_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("choice", Text, nullable=False),
    _text("at"),
    sqlite_with_rowid=False,
)

edit = _table(
    "edit",
    _key(),
    # "do" carries changes; "undo" and "redo" name the "do" that they took back or put again.
    Column("kind", Text, nullable=False),
    Column("of_id", BigKey, ForeignKey("edit.id", deferrable=True, initially="DEFERRED")),
    # The first "do" of an undo step: edits of one group are undone together.
    Column("step", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    _text("title"),
    _text("actor", "human"),
    _text("edit_group"),
    Column("at", Text, nullable=False),
    Column("num_changes", Integer, nullable=False, server_default=text("0")),
    # Pairs (before, after): read forwards the edit, read backwards and swapped its inverse.
    Column("changes", LargeBinary),
    # The dataset's revision with this line in it; 0 for lines of schema 1.
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    _one_of("kind", ("do", "undo", "redo")),
    _one_of("state", ("done", "undone", "discarded", "note")),
    Index("ix_edit_state", "state", "step"),
    Index("ix_edit_revision", "revision", "of_id"),
)

edit_region = Table(
    "edit_region",
    metadata,
    # Which lines "do" of the log speak of a region, so that its history is found without reading the log.
    Column("region_id", BigKey, primary_key=True, autoincrement=False),
    Column("edit_id", BigKey, ForeignKey("edit.id", deferrable=True, initially="DEFERRED"), primary_key=True),
    sqlite_with_rowid=False,
)

saved_search = _table(
    "saved_search",
    _key(),
    Column("name", Text, nullable=False),
    Column("query", Text, nullable=False),  # JSON
    _text("at"),
)

setting = Table(
    "setting",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
