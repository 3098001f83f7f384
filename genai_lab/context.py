"""The composition root: everything that a service needs, built once."""

import importlib
import os
import stat
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genai_lab.config import Config
from genai_lab.errors import LabError, StorageError
from genai_lab.models import Options
from genai_lab.models.cache import ModelCache
from genai_lab.services.logits_cache import LogitsCache
from storage.database import Database, OtherVersion


@dataclass
class LabContext:
    """One open lab.

    `running` holds the runs under way by id, for Stop; `kept` the streams' logits for the microscope; `supervisor` is
    there while this process looks after the jobs, `desk` once answers of annotators are written, `sessions` once a
    lead's cookie was looked at.
    """

    config: Config
    database: Database
    models: ModelCache
    options: Options
    logits_cache: LogitsCache = field(default_factory=LogitsCache)
    running: dict[int, Any] = field(default_factory=dict)
    supervisor: Any = None
    desk: Any = None
    warmth: Any = None
    sessions: Any = None
    worker: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def open(cls, config: Config, worker: bool = False) -> "LabContext":
        """Creates the data home and brings the database up to date; raises StorageError where that cannot be.

        A worker only reads: it finds the database as it is and changes nothing.
        """
        try:
            _make_private(config, worker)
        except OSError as problem:
            raise StorageError(
                f"The data home {config.home} cannot be created ({problem.strerror}); choose another with --home."
            ) from problem
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        _import(config.plugins)
        database = _open(config.database_url, upgrade=not worker)
        # What runs make lies in the data home, wherever else models may come from.
        roots = tuple(dict.fromkeys((*config.model_roots, config.home / "models")))
        options = Options(
            config.device, config.dtype, roots, config.hub_cache, allow_link_local=config.allow_link_local,
            hashes=config.home / "hashes.json", hash_all=worker,
        )  # fmt: skip
        lab = cls(config, database, ModelCache(config.memory_budget, options), options)
        lab.worker = worker
        if worker:
            return lab
        from genai_lab.services import generation, hashes, models, templates
        from genai_lab.services.jobs import supervisor

        if supervisor.nobody_supervises(config.home):
            generation.end_interrupted(lab)
        models.register_starters(lab)
        hashes.hash_in_background(lab)
        templates.register_library(lab)
        return lab

    def close(self) -> None:
        if self.desk is not None:
            self.desk.close()
        self.models.close()
        self.database.close()


def _make_private(config: Config, worker: bool) -> None:
    """The data home's folders, which nobody but its owner may read. A home that was there before keeps its own mode:
    it may be any folder.
    """
    config.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in (config.hub_cache, config.uploads, config.jobs):
        folder.mkdir(mode=0o700, exist_ok=True)
    if not worker:
        for name in ("hub", "uploads", "jobs", "datasets", "models", "artefacts", "secret"):
            _close_to_others(config.home / name)


def _make_database_private(url: str) -> None:
    """Its file, where it is one: what SQLite writes beside it gets the same mode."""
    from sqlalchemy import make_url

    made = make_url(url)
    if made.get_backend_name() == "sqlite" and made.database and made.database != ":memory:":
        with suppress(OSError):
            os.close(os.open(made.database, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        for tail in ("", "-wal", "-shm"):
            _close_to_others(Path(made.database + tail))


def _close_to_others(path: Path) -> None:
    with suppress(OSError):  # missing, another's, or on a disk that is only read
        mode = path.lstat().st_mode
        if mode & 0o077 and not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) & 0o700)


def _import(plugins: tuple[str, ...]) -> None:
    for module in plugins:
        try:
            importlib.import_module(module)
        except ImportError as problem:
            raise LabError(f"The plugin {module} cannot be imported ({problem}); check GENAI_LAB_PLUGINS.") from problem


def _open(url: str, upgrade: bool) -> Database:
    from sqlalchemy.exc import SQLAlchemyError

    shown = url.split("@")[-1]
    try:
        if upgrade:
            _make_database_private(url)
        database = Database(url)
        if upgrade:
            database.upgrade()
    except (SQLAlchemyError, ImportError, ValueError) as problem:
        reason = str(getattr(problem, "orig", None) or problem).splitlines()[0]
        raise StorageError(f"The database {shown} cannot be opened: {reason}. Check DATABASE_URL or --home.") from None
    except OtherVersion as problem:
        raise StorageError(
            f"The database {shown} was made by another version of the lab ({problem}); use that version, or another "
            "--home."
        ) from None
    return database
