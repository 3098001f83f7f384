"""Migration 0008: rows of runs that answered a dataset before a row could have several completions."""

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from storage import evaluation as queries
from storage.database import MIGRATIONS, Database, _without_foreign_keys
from tests.storage.test_migrations import differences

BEFORE = "0006"
RUN = (
    "INSERT INTO runs (id, kind, settings, seed, code_revision, dirty, packages, device, status, created_at) "
    "VALUES (:id, :kind, '{}', 0, 'x', 0, '{}', 'cpu', 'finished', '2026-01-01')"
)
GENERATION = (
    "INSERT INTO generations (id, run_id, sample_index, example, rendered_prompt, text, finish_reason, prompt_tokens, "
    "completion_tokens, seconds, seed, trace, created_at) "
    "VALUES (:id, :run, :sample, :example, 'p', :text, 'stop', 1, 1, 0.1, 0, x'', '2026-01-01')"
)
RATING = "INSERT INTO ratings (generation_id, thumb, comment, created_at) VALUES (1, 1, 'fine', '2026-01-01')"


def migrate(database: Database, direction: str, revision: str) -> None:
    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    with database.writer.connect() as connection, _without_foreign_keys(connection), connection.begin():
        settings.attributes["connection"] = connection
        getattr(command, direction)(settings, revision)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """A home of the version before: a system of three rows with a rating, and a run of the playground."""
    database = Database(f"sqlite:///{tmp_path / 'lab.db'}")
    migrate(database, "upgrade", BEFORE)
    with database.writer.begin() as connection:
        connection.execute(text(RUN), [{"id": 1, "kind": "predict"}, {"id": 2, "kind": "generate"}])
        rows = [(1, 1, 0, 11, "a"), (2, 1, 1, 14, "b"), (3, 1, 2, 19, "c"), (4, 2, 0, None, "d"), (5, 2, 1, None, "e")]
        names = ("id", "run", "sample", "example", "text")
        connection.execute(text(GENERATION), [dict(zip(names, row, strict=True)) for row in rows])
        connection.execute(text(RATING))
    return database


def keys(database: Database) -> list[tuple[int, ...]]:
    query = text("SELECT id, row_index, sample_index FROM generations ORDER BY id")
    with database.reading() as session:
        return [tuple(row) for row in session.execute(query)]


def test_old_rows_stay_readable_and_keep_their_ratings(database: Database) -> None:
    database.upgrade()
    assert differences(database) == []
    assert keys(database) == [(1, 0, 0), (2, 1, 0), (3, 2, 0), (4, 0, 0), (5, 0, 1)]
    with database.reading() as session:
        outputs = queries.outputs(session, 1)
        rows = queries.outputs_by_row(session, 1)
        ratings = queries.ratings(session, 1)
    assert [(output.example, output.sample, output.text) for output in outputs] == [
        (11, 0, "a"),
        (14, 0, "b"),
        (19, 0, "c"),
    ]
    assert [[output.text for output in row] for row in rows] == [["a"], ["b"], ["c"]]
    assert (ratings[1].thumb, ratings[1].comment) == (1, "fine")


def test_a_row_takes_further_completions_but_none_twice(database: Database) -> None:
    database.upgrade()
    row = {
        "example": 11,
        "row_index": 0,
        "rendered_prompt": "p",
        "finish_reason": "stop",
        "prompt_tokens": 1,
        "completion_tokens": 1,
        "seconds": 0.1,
        "seed": 7,
    }
    records = [(1, row | {"sample_index": sample, "text": f"a{sample}"}) for sample in range(3)]
    for _ in range(2):
        with database.session() as session:
            queries.add_generations(session, records)
    with database.reading() as session:
        assert [output.text for output in queries.outputs_by_row(session, 1)[0]] == ["a", "a1", "a2"]


def test_a_record_of_a_job_that_began_before_the_migration_is_its_row(database: Database) -> None:
    database.upgrade()
    old = {
        "example": 23,
        "sample_index": 3,
        "rendered_prompt": "p",
        "text": "z",
        "finish_reason": "stop",
        "prompt_tokens": 1,
        "completion_tokens": 1,
        "seconds": 0.1,
        "seed": 7,
    }
    with database.session() as session:
        queries.add_generations(session, [(1, old)])
    assert keys(database)[-1][1:] == (3, 0)
