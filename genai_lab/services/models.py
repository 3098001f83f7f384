"""The catalogue: what can be used, where it came from, what is loaded; adding, downloading, putting away."""

import logging
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from sqlalchemy.exc import IntegrityError

from genai_lab.errors import BadSetting, DuplicateName, ModelError, UnknownName
from genai_lab.memory import resident
from genai_lab.models import BACKENDS, Card, Generator, Mode, Prompt, Source
from genai_lab.models.cache import LoadedState
from genai_lab.models.checks import size_text
from genai_lab.services import downloads as fetching
from genai_lab.services import hashes, jobs
from genai_lab.services.downloads import Download
from genai_lab.services.downloads import HubPlan as HubPlan
from genai_lab.services.downloads import hub_size as hub_size
from genai_lab.services.endpoints import check_key_host
from genai_lab.services.model_rows import card_of, fields_of, options, take_over
from genai_lab.views import View
from storage import models as queries
from storage.tables import Model

if TYPE_CHECKING:
    from genai_lab.context import LabContext

NAME = re.compile(r"[^\W_][\w .:@/+-]{0,99}")
log = logging.getLogger(__name__)
Status = Literal["ready", "loaded", "missing", "archived", "downloading", "failed", "training"]


@dataclass(frozen=True)
class ModelView(View):
    """One model of the catalogue; `detail` says in words why it is missing or failed, or how far a download is."""

    id: int
    card: Card
    status: Status
    detail: str
    made_by_run: int | None
    created_at: datetime


@dataclass(frozen=True)
class Budget(View):
    """Memory of the loaded models in bytes; `loaded` maps their names to their states, `process_bytes` is the whole
    process: its own part (Python, torch, the app) and its models.
    """

    used_bytes: int
    budget_bytes: int
    loaded: dict[str, LoadedState]
    process_bytes: int = 0


def register_starters(lab: "LabContext") -> None:
    """Puts the shipped models into the catalogue, and takes over what has changed in their weights."""
    from genai_lab.models.starter import starters

    for name in starters():
        try:
            card = BACKENDS.get("starter").inspect(Source("starter", name), name, lab.options)
        except ModelError as problem:
            log.warning("the starter model %s cannot be used: %s", name, problem)
            continue
        with lab.database.session() as session:
            row = queries.model_named(session, name)
            if row is None:
                queries.add_model(session, **fields_of(card))
            elif row.backend == "starter":
                take_over(row, card)


def catalogue(lab: "LabContext", *, archived: bool = False, role: str | None = None) -> list[ModelView]:
    """The models in use, or the archived ones, in the order they were added."""
    with lab.database.reading() as session:
        rows = [row for row in queries.all_models(session, archived=archived) if role in (None, row.role)]
        making = queries.making(session, rows)
    under_way = _coming(lab, rows)
    loaded = lab.models.loaded()
    return [_view(row, under_way, loaded, making) for row in rows]


def show(lab: "LabContext", name: str) -> ModelView:
    """One model, archived or not; raises UnknownName."""
    row = _row(lab, name)
    with lab.database.reading() as session:
        making = queries.making(session, [row])
    return _view(row, _coming(lab, [row]), lab.models.loaded(), making)


def add(
    lab: "LabContext", name: str, source: Source, *, made_by_run: int | None = None, new_host: bool = False
) -> ModelView:
    """Inspects the model and puts it into the catalogue; raises LabError, changing nothing, where it cannot be used."""
    name = _free_name(lab, name)
    check_key_host(lab, source, new_host)
    card = BACKENDS.get(source.backend).inspect(source, name, options(lab))
    if card.path is None and card.family != "endpoint":
        raise ModelError(f"{source.location} is not on this machine yet; download it first.")
    _insert(lab, card, made_by_run)
    hashes.hash_in_background(lab)
    return show(lab, name)


def reserve(session: Any, card: Card, run_id: int) -> Model:
    """The row of a model that a run is to make, so that what comes after can name it; raises DuplicateName."""
    if queries.model_named(session, card.name) is not None:
        raise DuplicateName("model", card.name)
    base = queries.model_named(session, card.source.base) if card.source.base else None
    try:
        return queries.add_model(session, **fields_of(card, made_by_run_id=run_id, base_id=base.id if base else None))
    except IntegrityError:
        raise DuplicateName("model", card.name) from None


def checked_name(lab: "LabContext", name: str) -> str:
    """A name that a new model may have; raises BadSetting or DuplicateName."""
    return _free_name(lab, name)


def archive(lab: "LabContext", name: str) -> None:
    """Takes the model off the list; its runs keep it."""
    with lab.database.session() as session:
        queries.archive_model(_found(queries.model_named(session, name), lab, name))
    lab.models.unload(name)


def restore(lab: "LabContext", name: str) -> None:
    with lab.database.session() as session:
        queries.restore_model(_found(queries.model_named(session, name), lab, name))


def remove(lab: "LabContext", name: str) -> None:
    """Forgets a model that nothing refers to, with what was downloaded for it; a user's own folder is never touched."""
    row = _row(lab, name)
    if row.backend == "starter":
        raise ModelError(f"{name} is shipped with the lab and cannot be removed; archive it instead.")
    with lab.database.session() as session:
        row = _found(queries.model_named(session, name), lab, name)
        if count := queries.descendants(session, row):
            told = "1 run or model refers" if count == 1 else f"{count} runs or models refer"
            raise ModelError(f"{told} to {name}, so it cannot be removed; archive it instead.")
        queries.remove_model(session, row)
        alone = not any(
            other.source == row.source
            for archived in (False, True)
            for other in queries.all_models(session, archived=archived)
        )
    lab.models.unload(name)
    if row.backend == "hub" and alone:
        _delete_files(lab, row)
    own = lab.config.home / "models"
    if row.made_by_run_id and row.path and Path(row.path).is_relative_to(own) and Path(row.path) != own:
        shutil.rmtree(row.path, ignore_errors=True)


def load(lab: "LabContext", name: str) -> Generator:
    """The loaded model; raises LabError for one that is archived, not there, or that does not fit into the budget."""
    view = show(lab, name)
    if view.status not in ("ready", "loaded"):
        raise ModelError(f"{name} is {view.status}{f': {view.detail}' if view.detail else ''}".rstrip(".") + ".")
    if view.card.role != "generate":
        raise ModelError(f"{name} classifies texts and cannot generate; choose a model that generates.")
    card = hashes.hashed(lab, view.card)
    below = _base(lab, card)
    return lab.models.acquire(card, None if below is None else hashes.hashed(lab, below))


def load_apart(lab: "LabContext", name: str) -> Generator:
    """The model outside the shared memory, for a worker that needs its weights themselves; the caller closes it."""
    card = show(lab, name).card
    below = _base(lab, card)
    if below is None:
        return BACKENDS.get(card.source.backend).load(card, lab.options)
    base = BACKENDS.get(below.source.backend).load(below, lab.options)
    try:
        made: Any = BACKENDS.get(card.source.backend).load(card, lab.options, base)
    except BaseException:
        base.close()
        raise
    made.owned = base
    return cast(Generator, made)


def unload(lab: "LabContext", name: str) -> None:
    """Frees its memory; texts that it is generating end where they are."""
    lab.models.unload(name)


def folders(lab: "LabContext", mark: str = "config.json") -> list[str]:
    """Folders with `mark` not far below the places that models may come from, for a choice."""
    from genai_lab.models.folders import model_folders

    return [str(path) for path in model_folders(lab.options.roots, mark)]


def budget(lab: "LabContext") -> Budget:
    return Budget(lab.models.used_bytes, lab.models.budget_bytes, lab.models.loaded(), resident())


def prompt_for(lab: "LabContext", model: str, text: str, mode: str | None = None) -> Prompt:
    """The text as the model's prompt in `mode`, or in the mode that the model does best; raises LabError."""
    card = show(lab, model).card
    if not card.modes:
        raise ModelError(f"{model} classifies texts and cannot generate; choose a model that generates.")
    chosen: Mode | None = next((known for known in card.modes if known == (mode or card.modes[0])), None)
    if chosen is None:
        raise BadSetting("mode", mode, f"{' or '.join(card.modes)} for {model}")
    if chosen == "chat":
        return Prompt(messages=({"role": "user", "content": text},), mode="chat")
    return Prompt(text=text, mode=chosen)


# Downloads


def start_download(lab: "LabContext", name: str, source: Source) -> Download:
    """Puts the model into the catalogue as one that is coming and queues its download, or goes on with it."""
    row = _known_row(lab, name)
    again = row is not None and row.backend == "hub" and row.source["location"] == source.location
    name = name if again else _free_name(lab, name)
    card = BACKENDS.get("hub").inspect(source, name, options(lab))
    order = fetching.planned(lab, name, card.source)
    if not again:
        _insert(lab, card, None)
    else:
        with lab.database.session() as session:
            take_over(_found(queries.model_named(session, name), lab, name), card)
    return fetching.begin(lab, order)


def downloads(lab: "LabContext") -> list[Download]:
    """Those under way and those that stopped, the newest first; finished ones are in the catalogue."""
    with lab.database.reading() as session:
        rows = queries.all_models(session) + queries.all_models(session, archived=True)
    wanted = {_key(row.source) for row in rows if row.backend == "hub" and not row.path}
    found = [made for key, made in fetching.by_source(lab).items() if key in wanted and made.status != "finished"]
    return sorted(found, key=lambda made: -made.id)


def cancel_download(lab: "LabContext", download_id: int) -> None:
    """Ends it; what has been fetched stays, and starting again goes on from there."""
    fetching.cancel(lab, download_id)


def download(lab: "LabContext", source: Source, progress: Callable[[str], None] | None = None) -> None:
    """Downloads and waits; an interrupt from the keyboard ends the download. Raises ModelError."""
    made = fetching.begin(lab, fetching.planned(lab, source.location, source))
    if progress:
        progress(f"{made.repo} at {made.revision[:10]}: {size_text(made.total_bytes)}")
    told = time.monotonic()

    def seen(view: jobs.JobView) -> None:
        nonlocal told
        if progress and time.monotonic() - told > 2:
            told = time.monotonic()
            progress(f"{made.repo}: {size_text(int(view.done))} of {size_text(made.total_bytes)}")

    try:
        fetching.checked(jobs.wait(lab, made.id, seen=seen))
    except KeyboardInterrupt:
        fetching.cancel(lab, made.id)
        jobs.wait(lab, made.id, timeout=15)
        raise


def _coming(lab: "LabContext", rows: Sequence[Model]) -> dict[tuple[str, str], Download]:
    """The downloads that matter to these models: of those whose files are not here."""
    waiting = any(row.backend == "hub" and not row.path for row in rows)
    return fetching.by_source(lab) if waiting else {}


def _delete_files(lab: "LabContext", row: Model) -> None:
    made = fetching.by_source(lab).get(_key(row.source))
    if made is not None and not row.path:
        fetching.discard(lab, made)
    if row.path and Path(row.path).is_relative_to(lab.config.hub_cache):
        shutil.rmtree(row.path, ignore_errors=True)


# Rows and cards


def _view(
    row: Model, under_way: dict[tuple[str, str], Download], loaded: dict[str, Any], making: dict[int, str]
) -> ModelView:
    card = card_of({**row.card, "name": row.name})
    coming = under_way.get(_key(row.source)) if row.backend == "hub" else None
    status, detail = _status(row, card, coming, loaded)
    if status == "missing" and row.id in making:
        status, detail = _in_the_making(row, making[row.id])
    return ModelView(row.id, card, status, detail, row.made_by_run_id, row.created_at)


def _in_the_making(row: Model, run_status: str) -> tuple[Status, str]:
    """How a model stands that a run is to make."""
    if run_status in ("running", "queued"):
        return "training", f"run {row.made_by_run_id} is making it"
    return "failed", f"run {row.made_by_run_id}, which was to make it, is {run_status}; see the Fine-tune page"


def _status(row: Model, card: Card, coming: Download | None, loaded: dict[str, Any]) -> tuple[Status, str]:
    if row.archived_at is not None:
        return "archived", "restore it to use it again"
    if row.name in loaded:
        return "loaded", ""
    if card.family == "endpoint":
        return "ready", ""
    if coming is not None and card.path is None:
        if coming.status in ("queued", "running"):
            return "downloading", f"{size_text(coming.done_bytes)} of {size_text(coming.total_bytes)}"
        if coming.status != "finished":
            return "failed", coming.error or ""
    if card.path is None:
        return "missing", "It has not been downloaded; start its download again."
    if not card.path.is_dir():
        return "missing", f"The folder {card.path} is gone; put it back or add the model again."
    return "ready", ""


def _key(source: dict[str, Any]) -> tuple[str, str]:
    return source["location"], source.get("revision") or ""


def _insert(lab: "LabContext", card: Card, made_by_run: int | None) -> None:
    try:
        with lab.database.session() as session:
            base = queries.model_named(session, card.source.base) if card.source.base else None
            more = {"made_by_run_id": made_by_run, "base_id": base.id if base else None}
            queries.add_model(session, **fields_of(card, **more))
    except IntegrityError:
        raise DuplicateName("model", card.name) from None


def _free_name(lab: "LabContext", name: str) -> str:
    name = name.strip()
    if not NAME.fullmatch(name):
        raise BadSetting("name", name[:100], "1 to 100 letters, digits and .-_:/@+ with a letter or digit first")
    if _known_row(lab, name) is not None:
        raise DuplicateName("model", name)
    return name


def _known_row(lab: "LabContext", name: str) -> Model | None:
    with lab.database.reading() as session:
        return queries.model_named(session, name)


def _row(lab: "LabContext", name: str) -> Model:
    return _found(_known_row(lab, name), lab, name)


def _found(row: Model | None, lab: "LabContext", name: str) -> Model:
    if row is None:
        with lab.database.reading() as session:
            known = [other.name for other in queries.all_models(session)]
        raise UnknownName("model", name, known)
    return row


def _base(lab: "LabContext", card: Card) -> Card | None:
    """The card of the model below an adapter, which may be archived; raises ModelError where it is not there."""
    if card.source.base is None:
        return None
    view = show(lab, card.source.base)
    if view.status not in ("ready", "loaded", "archived"):
        raise ModelError(f"The base {view.card.name} of {card.name} is {view.status}: {view.detail}".rstrip(".") + ".")
    return view.card
