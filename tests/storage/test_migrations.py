from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

import storage.feedback_tables  # noqa: F401 - its tables belong to the whole
from storage.column_types import Words
from storage.database import Database
from storage.tables import Base


def differences(database: Database) -> list[object]:
    with database.writer.begin() as connection:
        return compare_metadata(MigrationContext.configure(connection), Base.metadata)


def test_migrations_from_empty_lead_to_the_tables_in_the_code() -> None:
    database = Database("sqlite://")
    database.upgrade()
    assert differences(database) == []


def test_a_missing_column_is_noticed() -> None:
    database = Database("sqlite://")
    database.upgrade()
    with database.writer.begin() as connection:
        connection.execute(text("ALTER TABLE models DROP COLUMN revision"))
    assert differences(database) != []


def test_upgrading_twice_changes_nothing(tmp_path) -> None:
    url = f"sqlite:///{tmp_path / 'lab.db'}"
    for _ in range(2):
        database = Database(url)
        database.upgrade()
        database.close()
    assert differences(Database(url)) == []


def test_text_keeps_every_character_where_the_database_has_no_zero() -> None:
    message, dialect = Words(), postgresql.dialect()
    for value in ("a\0b\x1a0\x1a\x1a\n\x1a", "\0", "plain", ""):
        stored = message.process_bind_param(value, dialect)
        assert stored is not None
        assert "\0" not in stored
        assert message.process_result_value(stored, dialect) == value
