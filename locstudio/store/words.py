"""Full-text search (FTS5) over phrases, captions and file names, kept in step by triggers of our own.

The indexes are external-content tables: they hold no text of their own and can be rebuilt at any time.
"""

import re

from sqlalchemy import Connection

# name of the index -> (table, column)
WORD_TABLES = {
    "region_words": ("region", "phrase"),
    "caption_words": ("caption", "text"),
    "image_words": ("image", "path"),
}

_TOKENIZER = "unicode61 remove_diacritics 2"


def _statements(words: str, table: str, column: str) -> dict[str, str]:
    drop = (
        f"INSERT INTO {words}({words}, rowid, {column}) SELECT 'delete', old.id, old.{column} WHERE old.{column} <> ''"
    )
    put = f"INSERT INTO {words}(rowid, {column}) SELECT new.id, new.{column} WHERE new.{column} <> ''"
    return {
        # No columnsize: empty texts are never indexed, and nothing is ranked.
        words: f"CREATE VIRTUAL TABLE {words} USING fts5({column}, content='{table}', content_rowid='id', "
        f"columnsize=0, tokenize='{_TOKENIZER}')",
        f"{words}_insert": f"CREATE TRIGGER {words}_insert AFTER INSERT ON {table} "
        f"WHEN new.{column} <> '' BEGIN {put}; END",
        f"{words}_delete": f"CREATE TRIGGER {words}_delete AFTER DELETE ON {table} "
        f"WHEN old.{column} <> '' BEGIN {drop}; END",
        # One trigger for both halves: the order of two would be SQLite's choice.
        f"{words}_update": f"CREATE TRIGGER {words}_update AFTER UPDATE OF {column} ON {table} "
        f"WHEN old.{column} <> new.{column} BEGIN {drop}; {put}; END",
    }


# Every trigger and virtual table that a dataset of ours may hold, by name.
STATEMENTS: dict[str, str] = {
    name: statement
    for words, (table, column) in WORD_TABLES.items()
    for name, statement in _statements(words, table, column).items()
}


def create_word_indexes(connection: Connection) -> None:
    """Make the indexes and their triggers in a dataset that has the tables."""
    for statement in STATEMENTS.values():
        connection.exec_driver_sql(statement)


def word_index_problems(connection: Connection) -> list[str]:
    """Sentences about indexes that do not agree with their texts.  Writes nothing, but needs the writer."""
    problems = []
    for words in WORD_TABLES:
        try:
            connection.exec_driver_sql(f"INSERT INTO {words}({words}, rank) VALUES ('integrity-check', 1)")
        except Exception as error:  # noqa: BLE001 - whatever SQLite says of it is the finding
            problems.append(f"The word index {words} does not agree with its texts: {error}")
    return problems


def match_expression(words: str) -> str:
    """What a person typed as an FTS5 query: every word must occur, the last may be the beginning of one.

    Returns an empty string when there is nothing to look for.
    """
    found = re.findall(r"\w+", words)
    if not found:
        return ""
    return " ".join(f'"{word}"' for word in found) + ("" if words[-1].isspace() else "*")


def is_word_table(name: str) -> bool:
    """Whether the table is one of the indexes or one that SQLite keeps for them."""
    return any(name == words or name.startswith(f"{words}_") for words in WORD_TABLES)
