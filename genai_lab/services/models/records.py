"""Rows of the catalogue as cards and views, and in which state a model is."""

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from sqlalchemy.exc import IntegrityError

from genai_lab.errors import BadSetting, DuplicateName, ModelError, UnknownName
from genai_lab.models import BACKENDS, Backend, Card, Options, Source
from genai_lab.models.checks import size_text
from genai_lab.models.inspect import is_starter_template
from genai_lab.models.speed import Speed
from genai_lab.services.downloads import Download
from genai_lab.services.models.speeds import Placing, Reason
from genai_lab.views import Linked, View
from storage import models as queries
from storage.tables import Model

if TYPE_CHECKING:
    from genai_lab.context import LabContext

NAME = re.compile(r"[^\W_][\w .:@/+-]{0,99}")
Status = Literal["ready", "loaded", "missing", "archived", "downloading", "failed", "training"]


@dataclass(frozen=True)
class ModelView(View, Linked):
    """One model of the catalogue; `detail` says in words why it is missing or failed, or how far a download is.

    `dtype_choice` is the dtype that its user chose, `dtype_reason` says why it is loaded as its card says, and `speeds`
    are what was measured of it on this machine.
    """

    _computed = ("name",)
    id: int
    card: Card
    status: Status
    detail: str
    made_by_run: int | None
    created_at: datetime
    dtype_choice: str | None = None
    dtype_reason: Reason | None = None
    speeds: tuple[Speed, ...] = ()

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def address(self) -> str:
        return f"/models?model={quote(self.name, safe='')}"


def backend_of(row: Model) -> Backend:
    return BACKENDS.get(row.backend)


def view_of(
    row: Model,
    downloads: Mapping[tuple[str, str], Download],
    loaded: Collection[str],
    run_statuses: Mapping[int, str],
    placing: Placing,
) -> ModelView:
    """The model as it stands; `run_statuses` are those of the runs that are to make models, by the model's id."""
    card, reason = placing.place(row, card_of({**row.card, "name": row.name}))
    download = downloads.get(source_key(row.source)) if backend_of(row).downloads else None
    status, detail = _status(row, card, download, loaded)
    if status == "missing" and row.id in run_statuses:
        status, detail = _status_of_run(row, run_statuses[row.id])
    return ModelView(
        row.id, card, status, detail, row.made_by_run_id, row.created_at, placing.choice(row), reason,
        placing.speeds(row.name),
    )  # fmt: skip


def check_ready(view: ModelView) -> None:
    """Raises ModelError, which says why, for a model that cannot be loaded."""
    if view.status not in ("ready", "loaded"):
        reason = f": {view.detail}" if view.detail else ""
        raise ModelError(f"{view.card.name} is {view.status}{reason}".rstrip(".") + ".")


def source_key(source: Mapping[str, Any]) -> tuple[str, str]:
    """(location, revision), by which downloads are found."""
    return source["location"], source.get("revision") or ""


def columns_of(card: Card, **more: Any) -> dict[str, Any]:
    """The card as the columns of a model's row."""
    stored = asdict(card)
    stored["path"] = str(card.path) if card.path else None
    return {
        "name": card.name,
        "role": card.role,
        "backend": card.source.backend,
        "source": asdict(card.source),
        "revision": card.source.revision,
        "path": stored["path"],
        "content_hash": card.content_hash,
        "card": stored,
        **more,
    }


def card_of(stored: dict[str, Any]) -> Card:
    """The card that was stored as JSON."""
    path = Path(stored["path"]) if stored["path"] else None
    if "completes" not in stored and path is not None and stored["chat"]:
        stored = {**stored, "completes": is_starter_template(path)}
    return Card(**{**stored, "source": Source(**stored["source"]), "path": path})


def update_row(row: Model, card: Card) -> None:
    """Writes what the card says into the model's row."""
    for name, value in columns_of(card).items():
        if getattr(row, name) != value:
            setattr(row, name, value)


def insert(lab: "LabContext", card: Card, made_by_run: int | None = None) -> None:
    """Adds the model's row; raises DuplicateName."""
    try:
        with lab.database.session() as session:
            base = queries.model_named(session, card.source.base) if card.source.base else None
            links = {"made_by_run_id": made_by_run, "base_id": base.id if base else None}
            queries.add_model(session, **columns_of(card, **links))
    except IntegrityError:
        raise DuplicateName("model", card.name) from None


def checked_name(lab: "LabContext", name: str) -> str:
    """A name that a new model may have; raises BadSetting or DuplicateName."""
    name = name.strip()
    if not NAME.fullmatch(name):
        raise BadSetting("name", name[:100], "1 to 100 letters, digits and .-_:/@+ with a letter or digit first")
    if find_row(lab, name) is not None:
        raise DuplicateName("model", name)
    return name


def free_name(lab: "LabContext", name: str) -> str:
    """The name, with a number appended where it is taken."""
    with lab.database.reading() as session:
        rows = queries.all_models(session) + queries.all_models(session, archived=True)
    return first_free(name[:90], {row.name for row in rows})


def first_free(name: str, taken: Collection[str]) -> str:
    """The name, or the first of name-2, name-3... that is not taken."""
    number = 1
    while (candidate := name if number == 1 else f"{name}-{number}") in taken:
        number += 1
    return candidate


def find_row(lab: "LabContext", name: str) -> Model | None:
    with lab.database.reading() as session:
        return queries.model_named(session, name)


def get_row(lab: "LabContext", name: str) -> Model:
    """The model's row; a hidden model is added when it is first asked for. Raises UnknownName."""
    row = find_row(lab, name)
    if row is None and (card := _hidden_card(lab, name)) is not None:
        insert(lab, card)
        row = find_row(lab, name)
    return existing(row, lab, name)


def existing(row: Model | None, lab: "LabContext", name: str) -> Model:
    """The row; raises UnknownName where there is none."""
    if row is None:
        with lab.database.reading() as session:
            names = [other.name for other in queries.all_models(session) if not backend_of(other).hidden]
        raise UnknownName("model", name, names)
    return row


def options(lab: "LabContext") -> Options:
    """How models are loaded, with the folders of the models that an adapter can stand on."""
    with lab.database.reading() as session:
        rows = queries.all_models(session) + queries.all_models(session, archived=True)
    cards = [card_of({**row.card, "name": row.name}) for row in rows]
    paths = tuple((card.name, card.path) for card in cards if card.path and card.has_weights and not card.is_adapter)
    return replace(lab.options, base_paths=paths)


def _hidden_card(lab: "LabContext", name: str) -> Card | None:
    """The card of a model that no catalogue lists, such as a fake one; None where the name means no such model."""
    if lab.worker:
        return None
    for backend in (BACKENDS.get(key) for key in BACKENDS):
        if backend.hidden and (source := backend.detect(name, lab.options)) is not None:
            return backend.inspect(source, name, lab.options)
    return None


def _status_of_run(row: Model, run_status: str) -> tuple[Status, str]:
    """The state of a model that a run is to make."""
    if run_status in ("running", "queued"):
        return "training", f"run {row.made_by_run_id} is making it"
    return "failed", f"run {row.made_by_run_id}, which was to make it, is {run_status}; see the Fine-tune page"


def _status(row: Model, card: Card, download: Download | None, loaded: Collection[str]) -> tuple[Status, str]:
    if row.archived_at is not None:
        return "archived", "restore it to use it again"
    if row.name in loaded:
        return "loaded", ""
    if not backend_of(row).has_files:
        return "ready", ""
    if download is not None and card.path is None:
        if download.status in ("queued", "running"):
            return "downloading", f"{size_text(download.done_bytes)} of {size_text(download.total_bytes)}"
        if download.status != "finished":
            return "failed", download.error or ""
    if card.path is None:
        return "missing", "It has not been downloaded; start its download again."
    if not card.path.exists():
        what = "folder" if card.has_weights else "file"
        return "missing", f"The {what} {card.path} is gone; put it back or add the model again."
    return "ready", ""
