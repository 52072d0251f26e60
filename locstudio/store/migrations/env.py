"""Alembic's door: runs the revisions on the connection that ``locstudio.store.migrating`` hands over."""

from typing import Any

from alembic import context

from locstudio.store.schema import metadata
from locstudio.store.words import is_word_table


def include_object(_: Any, name: str | None, kind: str, *__: Any) -> bool:
    """Leave the full-text tables out of comparisons: SQLite makes them, not the metadata."""
    return not (kind == "table" and name is not None and is_word_table(name))


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
    include_object=include_object,
)
context.run_migrations()
