"""The catalogue of models, jobs, the history, presets and backups."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai_lab.api.base import Table, wait_for_job, watch_job
from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError, UnknownName

if TYPE_CHECKING:
    from genai_lab.models import Source, SourceCheck
    from genai_lab.services.backup_store import StoredBackup
    from genai_lab.services.history import RunRow
    from genai_lab.services.jobs import JobView
    from genai_lab.services.models import Budget, ModelView
    from genai_lab.services.models.shelf import ShelfItem
    from genai_lab.services.presets import Preset


class Models:
    """The catalogue."""

    def __init__(self, context: LabContext) -> None:
        self.context = context

    def __getitem__(self, name: str) -> "ModelView":
        return self.get(name)

    def get(self, name: str) -> "ModelView":
        from genai_lab.services import models

        return models.show(self.context, name)

    def list(self, *, archived: bool = False, role: str | None = None) -> "Table[ModelView]":
        """Models in use, or the archived ones; `role` is generate, classify, reward or embed."""
        from genai_lab.services import models

        return Table(models.catalogue(self.context, archived=archived, role=role), _model_summary)

    def add(
        self,
        source: "Source | str",
        name: str = "",
        *,
        new_host: bool = False,
        on_progress: Callable[[str], None] | None = None,
    ) -> "ModelView":
        """Puts a model into the catalogue; one of the Hub is downloaded first.

        `source` as a text is a folder, a GGUF file, a Hub id or its page, or the address of an endpoint.
        """
        from genai_lab.models import BACKENDS
        from genai_lab.services import models

        file = models.gguf_source(source) if isinstance(source, str) else None
        if isinstance(source, str) and file is not None and (file.repo or "gguf" not in BACKENDS):
            return self.convert(source, name, progress=on_progress is not None)
        if isinstance(source, str):
            source = models.detect_source(self.context, source)
        source = models.complete_source(self.context, source, new_host=new_host)
        name = name or source.default_name
        models.checked_name(self.context, name)
        if BACKENDS.get(source.backend).downloads:
            models.download(self.context, source, progress=on_progress)
        return models.add(self.context, name, source, new_host=new_host)

    def check(self, source: "Source | str", *, new_host: bool = False) -> "SourceCheck":
        """What adding the source would bring; nothing is added or downloaded."""
        from genai_lab.services import models

        if isinstance(source, str):
            source = models.detect_source(self.context, source)
        return models.check_source(self.context, source, new_host=new_host)

    def load(self, name: str) -> "ModelView":
        """Reads a model into the memory of this process, as its first use does."""
        from genai_lab.services import models

        models.load(self.context, name)
        return self.get(name)

    def unload(self, name: str) -> "ModelView":
        """Frees its memory in this process; texts that it is generating end where they are."""
        from genai_lab.services import models

        models.unload(self.context, name)
        return self.get(name)

    def measure(
        self, name: str, *, packed: bool = True, on_progress: Callable[[str], None] = lambda text: None
    ) -> "ModelView":
        """Times the model in each dtype on each device of this machine; its `speeds` hold the figures.

        From then on it, and models of its size that nobody measured, are loaded in the float dtype that is fastest.
        """
        from genai_lab.services import models

        return models.measure(self.context, name, packed=packed, tell=on_progress)

    def choose_dtype(self, name: str, dtype: str = "auto") -> "ModelView":
        """Loads the model in this dtype from now on: float32, bfloat16, float16, int8, int4, or auto for the fastest
        that was measured. GENAI_LAB_DTYPE stands above it.
        """
        from genai_lab.services import models

        return models.choose_dtype(self.context, name, dtype)

    def budget(self) -> "Budget":
        """The memory that the loaded models of this process take, in bytes."""
        from genai_lab.services import models

        return models.budget(self.context)

    def convert(self, source: str, name: str = "", *, progress: bool = False) -> "ModelView":
        """A GGUF file as a model that torch can run and fine-tune, once its job has made it.

        `source` is a path, a file of the Hub as OWNER/NAME/FILE.gguf, or a model of the catalogue that is such a file.
        """
        from genai_lab.services import models

        file = models.gguf_source(source)
        started = models.convert(self.context, file, name) if file else models.convert_model(self.context, source, name)
        view = wait_for_job(self.context, started.job_id, progress=progress)
        return self.get((view.result or {})["model"])

    def shelf(self) -> "Table[ShelfItem]":
        """Published models that are worth having, with what is here of them."""
        from genai_lab.services.models import shelf

        return Table(shelf.shelf(self.context))

    def fetch(self, name: str, *, progress: bool = False) -> "ModelView":
        """A model of the shelf, once its job has got it; the one that is here already otherwise."""
        from genai_lab.services.models import shelf

        models = shelf.item(self.context, name).models
        if not models:
            wait_for_job(self.context, shelf.get(self.context, name).id, progress=progress)
            models = shelf.item(self.context, name).models
        return self.get(models[0])

    def archive(self, name: str) -> "ModelView":
        from genai_lab.services import models

        models.archive(self.context, name)
        return self.get(name)

    def restore(self, name: str) -> "ModelView":
        from genai_lab.services import models

        models.restore(self.context, name)
        return self.get(name)

    def remove(self, name: str) -> None:
        """Forgets a model that nothing refers to."""
        from genai_lab.services import models

        models.remove(self.context, name)


class Jobs:
    """Work in processes of its own."""

    def __init__(self, context: LabContext) -> None:
        self.context = context

    def get(self, id: int) -> "JobView":
        from genai_lab.services import jobs

        return jobs.show(self.context, id)

    def list(
        self, *, status: str | None = None, kinds: Sequence[str] = (), search: str = "", limit: int = 50
    ) -> "Table[JobView]":
        """Jobs, newest first."""
        from genai_lab.services import jobs

        views, total = jobs.find(self.context, status=status, kinds=kinds, search=search, limit=limit)
        return Table(views, _job_summary, total)

    def wait(
        self, id: int, timeout: float | None = None, *, progress: "bool | Callable[[JobView], None]" = False
    ) -> "JobView":
        """Stays until the job has finished; raises LabError where it ended otherwise."""
        return wait_for_job(self.context, id, timeout, progress)

    def watch(
        self, id: int, timeout: float | None = None, *, progress: "bool | Callable[[JobView], None]" = False
    ) -> "JobView":
        """Stays until the job has ended, in whichever way."""
        return watch_job(self.context, id, timeout, progress)

    def cancel(self, id: int) -> "JobView":
        from genai_lab.services import jobs

        return jobs.cancel(self.context, id)

    def retry(self, id: int) -> "JobView":
        """Queues a failed or cancelled job again; it goes on from what it has made."""
        from genai_lab.services import jobs

        return jobs.retry(self.context, id)

    def logs(self, id: int, lines: int = 200) -> str:
        from genai_lab.services import jobs

        return jobs.log(self.context, id, lines)


class History:
    """Every run."""

    def __init__(self, context: LabContext) -> None:
        self.context = context

    def list(self, search: str = "", *, kind: str = "", limit: int = 50, offset: int = 0) -> "Table[RunRow]":
        """Runs in which every word of `search` occurs, newest first; of one kind (generate, train, evaluate...)."""
        from genai_lab.services import history

        page = history.history(self.context, search, limit, offset, kind)
        return Table(page.rows, _history_summary, page.total)

    def export(self, path: str | Path, runs: Sequence[int]) -> Path:
        """Writes generations as JSON Lines (lossless) or CSV (safe to open in a spreadsheet), by the file's ending."""
        from genai_lab.files import atomic_write
        from genai_lab.services import history

        path = Path(path)
        form = history.to_csv if path.suffix == ".csv" else history.to_jsonl
        text = form(self.context, runs)
        with atomic_write(path) as draft:
            draft.write_text(text, encoding="utf-8")
        return path

    def get(self, id: int) -> "RunRow":
        """One run, whatever its kind; raises LabError where there is none."""
        from genai_lab.services import history

        rows = history.rows_of(self.context, [id])
        if id not in rows:
            raise LabError(f"There is no run {id}; the history lists the existing ones.")
        return rows[id]

    def replay(self, id: int) -> int:
        """Starts a run again with the same inputs, settings and seed; returns the new run's id. Raises LabError for
        kinds that cannot be replayed.
        """
        from genai_lab.services import runs

        return runs.replay(self.context, id)

    def delete(self, runs: Sequence[int]) -> int:
        """Hides runs; `restore` brings them back."""
        from genai_lab.services import history

        return history.delete_runs(self.context, runs)

    def restore(self, runs: Sequence[int]) -> int:
        from genai_lab.services import history

        return history.undelete_runs(self.context, runs)

    def as_python(self, run: int, library: str = "transformers") -> str:
        """A script that makes the run's completion again, with transformers alone or with this package."""
        from genai_lab.services import snippets

        return snippets.as_python(self.context, run, library)


class Presets:
    """Sampling settings under a name."""

    def __init__(self, context: LabContext) -> None:
        self.context = context

    def get(self, name: str) -> Sampling:
        """The settings of a preset; raises UnknownName."""
        from genai_lab.services import presets

        known = presets.presets(self.context)
        if name not in known:
            raise UnknownName("preset", name, sorted(known))
        return known[name].sampling

    def list(self) -> "Table[Preset]":
        from genai_lab.services import presets

        return Table(presets.presets(self.context).values(), lambda preset: {"name": preset.name})

    def save(self, name: str, sampling: Sampling | None = None, **settings: Any) -> Sampling:
        """Saves settings under a name, in place of an own preset of that name."""
        from genai_lab.services import presets

        chosen = replace(sampling or Sampling(), **settings) if sampling else Sampling.from_dict(settings)
        presets.save_preset(self.context, name, chosen)
        return chosen

    def delete(self, name: str) -> None:
        from genai_lab.services import presets

        presets.delete_preset(self.context, name)


class Backups:
    """Copies of the whole lab in its own home."""

    def __init__(self, context: LabContext) -> None:
        self.context = context

    def create(self, on_progress: Callable[[int, int, str], None] | None = None) -> "StoredBackup":
        """A new backup, made in this process.

        `on_progress` is called with bytes written, bytes in all and the file that is being read.
        """
        from genai_lab.services import backup_store

        return backup_store.create(self.context, on_progress or (lambda done, total, name: None))

    def list(self) -> "Table[StoredBackup]":
        """The backups, newest first."""
        from genai_lab.services import backup_store

        return Table(backup_store.find(self.context))

    def delete(self, name: str) -> None:
        from genai_lab.services import backup_store

        backup_store.delete(self.context, name)

    def restore_commands(self, name: str) -> "Sequence[str]":
        """The shell commands that put a backup in the place of this lab, once the app has been stopped."""
        from genai_lab.services import backup_store

        return backup_store.restore_commands(self.context, name)


def _model_summary(view: "ModelView") -> dict[str, Any]:
    card = view.card
    size = f"{card.parameters / 1e6:.1f}M" if card.parameters else "–"
    return {"model": card.name, "family": card.family, "parameters": size, "status": view.status}


def _job_summary(view: "JobView") -> dict[str, Any]:
    share = "" if view.share is None else f"{100 * view.share:.0f} %"
    return {"job": view.id, "state": view.state, "done": share, "kind": view.kind, "title": view.title}


def _history_summary(row: "RunRow") -> dict[str, Any]:
    return {"run": row.id, "kind": row.kind, "model": row.model, "prompt": row.prompt_start, "status": row.status}
