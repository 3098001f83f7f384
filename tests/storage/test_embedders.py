"""Migration 0013: encoders were called classifiers before there was a role for them."""

import json
from pathlib import Path

from sqlalchemy import text

from storage.database import Database, newest_revision
from tests.storage.test_migrations import differences
from tests.storage.test_several_completions import migrate

MODEL = (
    "INSERT INTO models (id, name, role, backend, source, card, created_at) "
    "VALUES (:id, :name, :role, 'local', '{}', :card, '2026-01-01')"
)


def roles(database: Database) -> list[tuple[str, str]]:
    with database.reading() as session:
        rows = session.execute(text("SELECT role, card FROM models ORDER BY id"))
        return [(role, json.loads(card)["role"]) for role, card in rows]


def test_encoders_of_older_homes_embed_and_back(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'lab.db'}")
    migrate(database, "upgrade", "0009")
    cards = [("a", "classify", "encoder"), ("b", "classify", "classifier"), ("c", "generate", "decoder-only")]
    with database.writer.begin() as connection:
        for number, (name, role, family) in enumerate(cards, 1):
            card = json.dumps({"role": role, "family": family})
            connection.execute(text(MODEL), {"id": number, "name": name, "role": role, "card": card})
    database.upgrade()
    assert differences(database) == []
    assert roles(database) == [("embed", "embed"), ("classify", "classify"), ("generate", "generate")]
    migrate(database, "downgrade", "0009")
    assert roles(database) == [("classify", "classify"), ("classify", "classify"), ("generate", "generate")]


def test_the_newest_revision_is_the_one_that_alembic_reaches(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'lab.db'}")
    database.upgrade()
    with database.reading() as session:
        assert session.scalar(text("SELECT version_num FROM alembic_version")) == newest_revision()
