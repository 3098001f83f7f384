"""The catalogue: what can be used and where it came from; adding, archiving, removing."""

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from genai_lab.errors import DuplicateName, ModelError
from genai_lab.models import BACKENDS, Card, Source, SourceCheck
from genai_lab.models import detect_source as detect
from genai_lab.services.endpoints import check_key_host, remote_name
from genai_lab.services.models import hashing, records
from genai_lab.services.models.downloading import delete_files, downloads_of
from genai_lab.services.models.records import ModelView, backend_of, columns_of
from genai_lab.services.models.speeds import Placing
from storage import models as queries
from storage.tables import Model

if TYPE_CHECKING:
    from genai_lab.context import LabContext

log = logging.getLogger(__name__)


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
                queries.add_model(session, **columns_of(card))
            elif backend_of(row).shipped:
                records.update_row(row, card)


def catalogue(
    lab: "LabContext", *, archived: bool = False, role: str | None = None, hidden: bool | None = None
) -> list[ModelView]:
    """The models in use, or the archived ones, in the order they were added.

    Models of hidden backends, such as fake ones, are listed only with `hidden`, or where the lab was opened to show
    them.
    """
    show_hidden = lab.options.show_hidden if hidden is None else hidden
    with lab.database.reading() as session:
        rows = [
            row
            for row in queries.all_models(session, archived=archived)
            if role in (None, row.role) and (show_hidden or not backend_of(row).hidden)
        ]
        run_statuses = queries.making(session, rows)
        placing = Placing(lab, session)
    downloads = downloads_of(lab, rows)
    loaded = lab.models.loaded()
    return [records.view_of(row, downloads, loaded, run_statuses, placing) for row in rows]


def show(lab: "LabContext", name: str) -> ModelView:
    """One model, archived or not; raises UnknownName."""
    row = records.get_row(lab, name)
    with lab.database.reading() as session:
        run_statuses = queries.making(session, [row])
        placing = Placing(lab, session)
    return records.view_of(row, downloads_of(lab, [row]), lab.models.loaded(), run_statuses, placing)


def detect_source(lab: "LabContext", text: str, base: str | None = None) -> Source:
    """The source that a user's text names: a folder, a starter's name, a Hub id or its page, an endpoint's address.

    An adapter's base, unless it is given, is looked up in the catalogue. Raises ModelError where the text is none of
    these.
    """
    source = detect(text, lab.options)
    folder = Path(source.location)
    if base is not None and BACKENDS.get(source.backend).has_files and folder.is_dir():
        return Source("adapter", source.location, base=base)
    if source.base is None and (folder / "adapter_config.json").is_file():
        return replace(source, base=_base_of(lab, folder))
    return source


def check_source(lab: "LabContext", source: Source, *, new_host: bool = False) -> SourceCheck:
    """What adding the source would bring; nothing is added or downloaded. Raises LabError where it cannot be added."""
    source = complete_source(lab, source, new_host=new_host)
    return BACKENDS.get(source.backend).check(source, records.options(lab))


def complete_source(lab: "LabContext", source: Source, *, new_host: bool = False) -> Source:
    """The source with the name of the only model that a server lists, where none is given; raises ModelError."""
    check_key_host(lab, source, new_host)
    if BACKENDS.get(source.backend).served and not source.remote_name:
        return replace(source, remote_name=remote_name(lab, source))
    return source


def add(
    lab: "LabContext", name: str, source: Source, *, made_by_run: int | None = None, new_host: bool = False
) -> ModelView:
    """Inspects the model and puts it into the catalogue; raises LabError, changing nothing, where it cannot be used."""
    name = records.checked_name(lab, name)
    check_key_host(lab, source, new_host)
    backend = BACKENDS.get(source.backend)
    card = backend.inspect(source, name, records.options(lab))
    if card.path is None and backend.has_files:
        raise ModelError(f"{source.location} is not on this machine yet; download it first.")
    records.insert(lab, card, made_by_run)
    hashing.hash_in_background(lab)
    return show(lab, name)


def reserve(session: Session, card: Card, run_id: int) -> Model:
    """The row of a model that a run is to make, so that what comes after can name it; raises DuplicateName."""
    if queries.model_named(session, card.name) is not None:
        raise DuplicateName("model", card.name)
    base = queries.model_named(session, card.source.base) if card.source.base else None
    try:
        return queries.add_model(session, **columns_of(card, made_by_run_id=run_id, base_id=base.id if base else None))
    except IntegrityError:
        raise DuplicateName("model", card.name) from None


def archive(lab: "LabContext", name: str) -> None:
    """Takes the model off the list; its runs keep it."""
    with lab.database.session() as session:
        queries.archive_model(records.existing(queries.model_named(session, name), lab, name))
    lab.models.unload(name)


def restore(lab: "LabContext", name: str) -> None:
    with lab.database.session() as session:
        queries.restore_model(records.existing(queries.model_named(session, name), lab, name))


def remove(lab: "LabContext", name: str) -> None:
    """Forgets a model that nothing refers to, with what was downloaded for it; a user's own folder is never touched."""
    row = records.get_row(lab, name)
    if backend_of(row).shipped:
        raise ModelError(f"{name} is shipped with the lab and cannot be removed; archive it instead.")
    with lab.database.session() as session:
        row = records.existing(queries.model_named(session, name), lab, name)
        if count := queries.descendants(session, row):
            users = "1 run or model refers" if count == 1 else f"{count} runs or models refer"
            raise ModelError(f"{users} to {name}, so it cannot be removed; archive it instead.")
        queries.remove_model(session, row)
        alone = not any(
            other.source == row.source
            for archived in (False, True)
            for other in queries.all_models(session, archived=archived)
        )
    lab.models.unload(name)
    if backend_of(row).downloads and alone:
        delete_files(lab, row)
    trained = lab.config.home / "models"
    if row.made_by_run_id and row.path and Path(row.path).is_relative_to(trained) and Path(row.path) != trained:
        shutil.rmtree(row.path, ignore_errors=True)


def _base_of(lab: "LabContext", folder: Path) -> str | None:
    """The model of the catalogue that an adapter's settings name by its name, place or folder; None where none is."""
    try:
        named = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError):
        return None
    views = [view for view in catalogue(lab) if view.card.has_weights and not view.card.is_adapter]
    for view in views:
        if named and named in (view.card.name, view.card.source.location, str(view.card.path)):
            return view.card.name
    return None
