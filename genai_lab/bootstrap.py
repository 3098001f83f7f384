"""Opens a lab: the one place that wires configuration, database, models and services together."""

import importlib.util
import logging
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.errors import LabError, StorageError
from genai_lab.models import Options
from genai_lab.models.cache import ModelCache
from storage.database import Database, OtherVersion

log = logging.getLogger(__name__)
PLUGINS = "plugins"  # folder in the data home with modules that `genai_lab.api.metrics` writes
PRIVATE_FOLDERS = (PLUGINS, "hub", "uploads", "jobs", "datasets", "models", "artefacts", "secret")


def open_lab(config: Config) -> LabContext:
    """Creates the data home, migrates the database and registers what is shipped; raises LabError."""
    from genai_lab.services import models, runs, templates
    from genai_lab.services.jobs import supervisor

    lab = _open(config, worker=False)
    if supervisor.nobody_supervises(config.home):
        runs.end_interrupted(lab)
    models.register_starters(lab)
    models.hash_in_background(lab)
    templates.register_library(lab)
    return lab


def open_worker(config: Config) -> LabContext:
    """The lab as the process of a job sees it: it takes the database as it is and changes nothing."""
    return _open(config, worker=True)


def _open(config: Config, worker: bool) -> LabContext:
    try:
        _make_folders(config, worker)
    except OSError as problem:
        raise StorageError(
            f"The data home {config.home} cannot be created ({problem.strerror}); choose another with --home."
        ) from problem
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    _import_plugins(config.plugins)
    _import_files(config.home / PLUGINS)
    database = _open_database(config.database_url, upgrade=not worker)
    # What runs make lies in the data home, wherever else models may come from.
    roots = tuple(dict.fromkeys((*config.model_roots, config.home / "models")))
    options = Options(
        config.device, config.dtype, roots, config.hub_cache, allow_link_local=config.allow_link_local,
        show_hidden=config.show_hidden_models,
        hashes=config.home / "hashes.json", hash_all=worker,
    )  # fmt: skip
    return LabContext(config, database, ModelCache(config.memory_budget, options), options, worker)


def _make_folders(config: Config, worker: bool) -> None:
    """The data home's folders, which only their owner can read. An existing home keeps its own mode: it may be any
    folder.
    """
    config.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in (config.hub_cache, config.uploads, config.jobs):
        folder.mkdir(mode=0o700, exist_ok=True)
    if not worker:
        for name in PRIVATE_FOLDERS:
            _restrict_to_owner(config.home / name)


def _make_database_private(url: str) -> None:
    """Restricts a database file to its owner; files that SQLite writes beside it get the same mode."""
    from sqlalchemy import make_url

    address = make_url(url)
    if address.get_backend_name() == "sqlite" and address.database and address.database != ":memory:":
        with suppress(OSError):
            os.close(os.open(address.database, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        for tail in ("", "-wal", "-shm"):
            _restrict_to_owner(Path(address.database + tail))


def _restrict_to_owner(path: Path) -> None:
    with suppress(OSError):  # missing, another's, or on a read-only disk
        mode = path.lstat().st_mode
        if mode & 0o077 and not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) & 0o700)


def _import_files(folder: Path) -> None:
    """Imports the modules of a folder; one that fails is reported and left out, so that the lab still opens."""
    for path in sorted(folder.glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"genai_lab_plugins.{path.stem}", path)
        if spec is None or spec.loader is None:
            continue
        module = importlib.util.module_from_spec(spec)
        # `inspect` finds the source of a module's functions by its name here.
        sys.modules[spec.name] = module
        try:
            spec.loader.exec_module(module)
        except Exception as problem:
            log.warning("the plugin %s is left out: %s", path, problem)


def _import_plugins(plugins: tuple[str, ...]) -> None:
    for module in plugins:
        try:
            importlib.import_module(module)
        except ImportError as problem:
            raise LabError(f"The plugin {module} cannot be imported ({problem}); check GENAI_LAB_PLUGINS.") from problem


def _open_database(url: str, upgrade: bool) -> Database:
    from sqlalchemy.exc import SQLAlchemyError

    address = url.split("@")[-1]  # without a password
    try:
        if upgrade:
            _make_database_private(url)
        database = Database(url)
        if upgrade:
            database.upgrade()
    except (SQLAlchemyError, ImportError, ValueError) as problem:
        reason = str(getattr(problem, "orig", None) or problem).splitlines()[0]
        raise StorageError(
            f"The database {address} cannot be opened: {reason}. Check DATABASE_URL or --home."
        ) from None
    except OtherVersion as problem:
        raise StorageError(
            f"The database {address} was made by another version of the lab ({problem}); use that version, or another "
            "--home."
        ) from None
    return database
