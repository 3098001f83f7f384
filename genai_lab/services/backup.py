"""A copy of the whole lab taken while it works, and a lab made from such a copy.

A backup is one .tar: the database as SQLite, whatever the lab itself runs on, then the files that its rows name, and
a manifest with every size. The database is read in one snapshot and before the files, and rows are only ever written
after their files.
"""

import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from sqlalchemy import Connection, delete, func, insert, select, text
from sqlalchemy.exc import DatabaseError

from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.files import MARK, atomic_write
from genai_lab.services.archive import DATABASE, FILES, FOLDERS, MANIFEST, SPARE, unpack
from genai_lab.views import View
from storage import whole
from storage.database import Database, OtherVersion

BLOCK = 1000
STEP = 8 * 2**20  # bytes between two reports of progress
OnProgress = Callable[[int, int, str], None]
BROKEN = (
    tarfile.TarError,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    RecursionError,
    sqlite3.DatabaseError,
    DatabaseError,
)


@dataclass(frozen=True)
class Backup(View):
    """What is in a backup: rows by table, how many files, and its size in bytes."""

    path: str
    rows: dict[str, int]
    files: int
    bytes: int


def backup(lab: LabContext, path: Path, on_progress: OnProgress = lambda done, total, name: None) -> Backup:
    """Writes the lab into `path`, which is there as a whole or not at all and its owner's alone; nobody waits.

    `on_progress` is called with bytes written, bytes in all and the file that is being read.
    """
    if path.exists():
        raise LabError(f"{path} already exists; choose another name for the backup.")
    contents: dict[str, int] = {}
    try:
        # A killed process leaves its draft and this folder; the next backup beside them removes both.
        prefix = f".{path.name[:100]}{MARK}{os.getpid()}-"
        with atomic_write(path) as draft, tempfile.TemporaryDirectory(dir=path.parent, prefix=prefix) as folder:
            copy = Path(folder) / DATABASE
            _snapshot(lab, copy)
            rows = _counts(copy)
            files = list(_files(lab.config.home))
            progress = _Progress(_check_space(path, [copy, *files]), on_progress)
            with (
                os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream,
                tarfile.open(fileobj=stream, mode="w") as tar,
            ):
                _add(tar, copy, DATABASE, contents, progress)
                for file in files:
                    with suppress(FileNotFoundError):  # removed meanwhile, with its row
                        _add(tar, file, f"home/{file.relative_to(lab.config.home).as_posix()}", contents, progress)
                manifest = {
                    "home": str(lab.config.home),
                    "rows": rows,
                    "files": len(contents) - 1,
                    "contents": contents,
                }
                _add_text(tar, MANIFEST, json.dumps(manifest))
    except OSError as problem:
        raise LabError(f"The backup cannot be written to {path} ({problem.strerror or problem}).") from problem
    except sqlite3.OperationalError as problem:
        raise LabError(f"The backup's copy of the database cannot be written beside {path} ({problem}).") from problem
    return Backup(str(path), rows, len(contents) - 1, path.stat().st_size)


def restore(config: Config, path: Path) -> Backup:
    """Makes the lab of `config` from a backup; raises LabError where there is one already, or the file is none.

    Everything is checked before anything lies where the lab looks for it; a restore that fails leaves nothing.
    """
    if not path.is_file():
        raise LabError(f"There is no backup {path}.")
    if any((config.home / name).exists() for name in (DATABASE, *FOLDERS)):
        raise LabError(f"{config.home} holds a lab already; restore into another --home, so that nothing is lost.")
    is_new = not config.home.exists()
    try:
        config.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=config.home) as folder:
            manifest = unpack(path, Path(folder))
            copy = Path(folder) / DATABASE
            _check_rows(path, copy, manifest["rows"])
            _move_home(copy, manifest["home"], str(config.home))
            rows = _put_back(config, copy)
            for part in sorted((Path(folder) / "home").glob("*")):
                os.replace(part, config.home / part.name)
    except BaseException as problem:
        if is_new:
            shutil.rmtree(config.home, ignore_errors=True)
        if isinstance(problem, BROKEN):
            raise LabError(
                f"{path} is not a complete backup of a lab: it was cut off, or is another file."
            ) from problem
        if isinstance(problem, OSError):
            reason = problem.strerror or problem
            raise LabError(f"{path} cannot be restored to {config.home} ({reason}).") from problem
        raise
    return Backup(str(path), rows, manifest["files"], path.stat().st_size)


def _check_rows(path: Path, copy: Path, expected: dict[str, int]) -> None:
    """Brings the copy up to date, and compares its tables with what the manifest says."""
    with closing(sqlite3.connect(copy)) as connection:
        if connection.execute("SELECT COUNT(*) FROM sqlite_master WHERE type IN ('trigger', 'view')").fetchone()[0]:
            raise LabError(
                f"The database in {path} holds triggers or views, which no lab's does; nothing was restored."
            )
    database = Database(f"sqlite:///{copy}")
    try:
        database.upgrade()
    except OtherVersion as problem:
        raise LabError(f"{path} comes from a newer version of the lab; restore it with that version.") from problem
    finally:
        database.close()
    counts = _counts(copy)
    if any(counts.get(name) != count for name, count in expected.items()):
        raise LabError(f"{path} holds other rows than it should; take another backup.")


def _snapshot(lab: LabContext, copy: Path) -> None:
    if lab.database.reader.dialect.name == "sqlite":
        source = sqlite3.connect(f"file:{lab.database.reader.url.database}?mode=ro", uri=True, timeout=30)
        with sqlite3.connect(copy) as target:
            source.backup(target)  # all pages in one read; writers go on in the log beside it
        source.close()
        target.close()
        return
    database = Database(f"sqlite:///{copy}")
    database.upgrade()
    with lab.database.reader.connect() as source_rows, database.writer.begin() as target_rows:
        source_rows.execution_options(isolation_level="REPEATABLE READ")
        _copy_rows(source_rows, target_rows)
    database.close()


def _put_back(config: Config, copy: Path) -> dict[str, int]:
    """The rows into the lab's own database; how many there are now, by table."""
    target = Database(config.database_url)
    if target.writer.dialect.name == "sqlite":
        folder = Path(target.writer.url.database or "")
        target.close()
        if folder.exists():
            raise LabError(f"The database {folder} holds a lab already; restore into another, so that nothing is lost.")
        os.replace(copy, folder)
        return _counts(folder)
    target.upgrade()
    source = Database(f"sqlite:///{copy}")
    with source.reader.connect() as rows, target.writer.begin() as connection:
        if connection.scalar(select(func.count()).select_from(whole.tables()["runs"])):
            raise LabError("The database holds a lab already; restore into an empty one, so that nothing is lost.")
        _copy_rows(rows, connection)
        for name, table in whole.tables().items():
            if last := connection.scalar(select(func.max(table.c.id))):
                connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), {last})"))
        counts = {
            name: connection.scalar(select(func.count()).select_from(table)) or 0
            for name, table in whole.tables().items()
        }
    source.close()
    target.close()
    return counts


def _copy_rows(source: Connection, target: Connection) -> None:
    """Copies every row into a database that holds nothing but what its migrations have added."""
    target.execute(delete(whole.tables()["users"]))
    for table in whole.tables().values():
        rows = source.execution_options(stream_results=True).execute(select(table).order_by(table.c.id))
        while block := rows.fetchmany(BLOCK):
            target.execute(insert(table), [dict(row._mapping) for row in block])


def _counts(path: Path) -> dict[str, int]:
    with sqlite3.connect(path) as connection:
        database = {name: connection.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0] for name in whole.tables()}
    connection.close()
    return database


def _move_home(copy: Path, old: str, new: str) -> None:
    """What rows say about places in the old home is true of the new one."""
    with sqlite3.connect(copy) as connection:
        for column in ("path", "source", "card"):
            for form in (json.dumps(old)[1:-1], old):
                to = json.dumps(new)[1:-1] if form != old else new
                connection.execute(f"UPDATE models SET {column} = REPLACE({column}, ?, ?)", (form, to))
    connection.close()


def _files(home: Path) -> Iterator[Path]:
    for name in FILES:
        if (home / name).is_file():
            yield home / name
    for name in FOLDERS:
        yield from sorted(path for path in (home / name).rglob("*") if path.is_file() and not path.is_symlink())


class _Progress:
    """Counts what has been read, and reports each STEP of bytes and each file."""

    def __init__(self, total: int, on_progress: OnProgress) -> None:
        self.done, self.total, self._reported, self._on_progress = 0, total, 0, on_progress

    def add(self, count: int, name: str) -> None:
        self.done += count
        if self.done - self._reported >= STEP or not count:
            self._reported = self.done
            self._on_progress(self.done, max(self.total, self.done), name)


class _Counted:
    """A stream whose reads are counted."""

    def __init__(self, stream: IO[bytes], name: str, progress: _Progress) -> None:
        self._stream, self._name, self._progress = stream, name, progress

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._progress.add(len(data), self._name)
        return data


def _check_space(path: Path, files: Sequence[Path]) -> int:
    """The bytes that the files take; raises LabError where the disk of `path` has not as many free."""
    total = 0
    for file in files:
        with suppress(FileNotFoundError):
            total += file.stat().st_size
    free = shutil.disk_usage(path.parent).free
    if total + SPARE > free:
        raise LabError(
            f"The backup needs {total / 1e9:,.2f} GB and the disk of {path.parent} has {free / 1e9:,.2f} GB free; free "
            "some space there, or write the backup to another disk with the command backup PATH."
        )
    return total


def _add(tar: tarfile.TarFile, file: Path, name: str, contents: dict[str, int], progress: _Progress) -> None:
    """A file as it is now, whatever becomes of its name meanwhile."""
    try:
        stream = file.open("rb")
    except PermissionError as problem:
        raise LabError(
            f"{file} cannot be read ({problem.strerror}), so no backup was made; let the user of the lab read it."
        ) from problem
    with stream:
        info, status = tarfile.TarInfo(name), os.fstat(stream.fileno())
        info.size, info.mtime, info.mode = status.st_size, int(status.st_mtime), 0o600
        tar.addfile(info, cast("IO[bytes]", _Counted(stream, file.name, progress)))
    progress.add(0, file.name)
    contents[name] = info.size


def _add_text(tar: tarfile.TarFile, name: str, content: str) -> None:
    data = content.encode()
    info: Any = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))
