"""Migration 0009: columns of human feedback have the words of the field and keep their values, there and back."""

import sqlite3
from pathlib import Path

from sqlalchemy import select, text

from storage.database import Database
from storage.feedback_tables import Annotator, Item
from tests.storage.test_migrations import differences
from tests.storage.test_several_completions import migrate

DUMP = Path(__file__).parent / "old_home" / "lab.sql"
ANNOTATORS = [("ann", 29, 6), ("bob", 29, 6), ("visitor 1", -1, 1)]


def test_renamed_columns_keep_their_values(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "lab.db") as connection:
        connection.executescript(DUMP.read_text())
        connection.execute("UPDATE items SET room = id")
        capacities = [number for (number,) in connection.execute("SELECT room FROM items ORDER BY id")]
    connection.close()
    database = Database(f"sqlite:///{tmp_path / 'lab.db'}")
    database.upgrade()
    assert differences(database) == []
    with database.reading() as session:
        assert list(session.scalars(select(Item.capacity).order_by(Item.id))) == capacities
        columns = (Annotator.name, Annotator.last_place, Annotator.assigned)
        assert [tuple(row) for row in session.execute(select(*columns).order_by(Annotator.id))] == ANNOTATORS
    migrate(database, "downgrade", "0008")
    with database.reading() as session:
        assert list(session.scalars(text("SELECT room FROM items ORDER BY id"))) == capacities
        before = text("SELECT name, cursor, given FROM annotators ORDER BY id")
        assert [tuple(row) for row in session.execute(before)] == ANNOTATORS
    database.close()
