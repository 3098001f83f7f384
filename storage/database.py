"""One open database: migrations, and `session()` as one transaction."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event, make_url, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import StaticPool

PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 30000")

MIGRATIONS = Path(__file__).parent / "migrations"
REVISION = re.compile(r"^revision\b.*?['\"](\w+)['\"]", re.MULTILINE)
FOLLOWED = re.compile(r"^down_revision\b.*?['\"](\w+)['\"]", re.MULTILINE)


class OtherVersion(Exception):
    """The database has a revision that this version of the lab does not know."""


class Database:
    """`session()` writes: it takes SQLite's write lock at its beginning, so that no upgrade of a read can fail.

    `reading()` reads a snapshot beside a writer. Rows stay readable after their session; load what leaves.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.writer = _engine(url)
        memory = self.writer.dialect.name == "sqlite" and make_url(url).database in (None, "", ":memory:")
        self.reader = self.writer if memory or self.writer.dialect.name != "sqlite" else _engine(url)
        if self.writer.dialect.name == "sqlite":
            event.listen(self.writer, "begin", _take_the_write_lock)
        if self.reader is not self.writer and self.reader.dialect.name == "sqlite":
            event.listen(self.reader, "begin", _take_a_snapshot)
        self._write = sessionmaker(self.writer, expire_on_commit=False)
        self._read = sessionmaker(self.reader, expire_on_commit=False)

    @contextmanager
    def session(self, within: Session | None = None) -> Iterator[Session]:
        """One transaction: commit on success, roll back on error. `within` joins a transaction that is open already."""
        if within is not None:
            yield within
            return
        with self._write.begin() as session:
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        with self._read() as session:
            yield session

    def upgrade(self) -> None:
        """Bring the tables to the newest revision, creating them where there are none; raises OtherVersion.

        Alembic, whose import takes longer than most commands, is left alone where there is nothing to do.
        """
        if self._revision() == newest_revision():
            return
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        settings = Config()
        settings.set_main_option("script_location", str(MIGRATIONS))
        try:
            with self.writer.connect() as connection, _without_foreign_keys(connection), connection.begin():
                settings.attributes["connection"] = connection
                command.upgrade(settings, "head")
                _check_foreign_keys(connection)
        except CommandError as problem:
            raise OtherVersion(str(problem)) from problem

    def _revision(self) -> str | None:
        """The revision of the tables; None where there are none yet."""
        try:
            with self.reader.connect() as connection:
                return connection.scalar(text("SELECT version_num FROM alembic_version"))
        except SQLAlchemyError:
            return None

    def close(self) -> None:
        self.writer.dispose()
        self.reader.dispose()


def _engine(url: str) -> Engine:
    options: dict[str, Any] = {}
    if make_url(url).get_backend_name() == "sqlite":
        options["connect_args"] = {"check_same_thread": False, "timeout": 30}
        if make_url(url).database in (None, "", ":memory:"):
            options["poolclass"] = StaticPool
    else:
        options["pool_pre_ping"] = True  # a server that was started again has closed what the pool holds
    engine = create_engine(url, **options)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare)
    return engine


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own implicit BEGIN comes too late and is deferred; transactions are begun by the events instead.
    connection.isolation_level = None
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def newest_revision() -> str:
    """The migration that no other one follows, read from the files without importing Alembic."""
    texts = [path.read_text(encoding="utf-8") for path in (MIGRATIONS / "versions").glob("[0-9]*.py")]
    revisions, followed = ({name for text in texts for name in kind.findall(text)} for kind in (REVISION, FOLLOWED))
    return max(revisions - followed)


@contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    """SQLite changes a table by copying it; with foreign keys, dropping the old one would delete what refers to it.

    The pragma does nothing within a transaction, so it is set on the driver's connection before one begins.
    """
    driver = connection.connection.driver_connection
    if connection.dialect.name != "sqlite" or driver is None:
        yield
        return
    driver.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys = ON")


def _check_foreign_keys(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise OtherVersion(f"The migration would leave rows of {broken[0]} without what they refer to in {broken[2]}.")


def _take_the_write_lock(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _take_a_snapshot(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
