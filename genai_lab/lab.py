"""The composition root: everything that a service needs, built once."""

import importlib
import os
import threading
from dataclasses import dataclass, field
from typing import Any

from genai_lab.config import Config
from genai_lab.errors import LabError, StorageError
from genai_lab.models import Options
from genai_lab.models.cache import ModelCache
from genai_lab.services.kept import KeptLogits
from storage.database import Database


@dataclass
class Lab:
    """One open lab.

    `running` holds the runs under way by id, for Stop; `kept` the streams' logits for the microscope; `supervisor` is
    there while this process looks after the jobs, `desk` once answers of annotators are written, `sessions` once a
    lead's cookie was looked at.
    """

    config: Config
    database: Database
    models: ModelCache
    options: Options
    kept: KeptLogits = field(default_factory=KeptLogits)
    running: dict[int, Any] = field(default_factory=dict)
    supervisor: Any = None
    desk: Any = None
    sessions: Any = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def open(cls, config: Config, worker: bool = False) -> "Lab":
        """Creates the data home and brings the database up to date; raises StorageError where that cannot be.

        A worker only reads: it finds the database as it is and changes nothing.
        """
        try:
            for folder in (config.home, config.hub_cache, config.uploads, config.jobs):
                folder.mkdir(parents=True, exist_ok=True)
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
            config.device, config.dtype, roots, config.hub_cache, allow_link_local=config.allow_link_local
        )
        lab = cls(config, database, ModelCache(config.memory_budget, options), options)
        if worker:
            return lab
        from genai_lab.services import generation, models, templates
        from genai_lab.services.jobs import supervisor

        if supervisor.nobody_supervises(config.home):
            generation.end_interrupted(lab)
        models.register_starters(lab)
        templates.register_library(lab)
        return lab

    def close(self) -> None:
        if self.desk is not None:
            self.desk.close()
        self.models.close()
        self.database.close()


def _import(plugins: tuple[str, ...]) -> None:
    for module in plugins:
        try:
            importlib.import_module(module)
        except ImportError as problem:
            raise LabError(f"The plugin {module} cannot be imported ({problem}); check GENAI_LAB_PLUGINS.") from problem


def _open(url: str, upgrade: bool) -> Database:
    from alembic.util import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    shown = url.split("@")[-1]
    try:
        database = Database(url)
        if upgrade:
            database.upgrade()
    except (SQLAlchemyError, ImportError, ValueError) as problem:
        reason = str(getattr(problem, "orig", None) or problem).splitlines()[0]
        raise StorageError(f"The database {shown} cannot be opened: {reason}. Check DATABASE_URL or --home.") from None
    except CommandError as problem:
        raise StorageError(
            f"The database {shown} was made by another version of the lab ({problem}); use that version, or another "
            "--home."
        ) from None
    return database
