"""Models between the database and the engine: a row as a card and a card as a row."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from genai_lab.context import LabContext
from genai_lab.models import Card, Options, Source
from genai_lab.models.inspect import is_starter_template
from storage import models as queries
from storage.tables import Model


def options(lab: LabContext) -> Options:
    """How models are loaded, with the folders of the models that an adapter can stand on."""
    with lab.database.reading() as session:
        rows = queries.all_models(session) + queries.all_models(session, archived=True)
    paths = tuple((row.name, Path(row.path)) for row in rows if row.path and row.backend != "adapter")
    return replace(lab.options, base_paths=paths)


def fields_of(card: Card, **more: Any) -> dict[str, Any]:
    """The columns of a card's row."""
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
    """The card that is stored as JSON."""
    path = Path(stored["path"]) if stored["path"] else None
    if "completes" not in stored and path is not None and stored["chat"]:
        stored = {**stored, "completes": is_starter_template(path)}
    return Card(**{**stored, "source": Source(**stored["source"]), "path": path})


def take_over(row: Model, card: Card) -> None:
    """Writes what the card says into the model's row."""
    for name, value in fields_of(card).items():
        if getattr(row, name) != value:
            setattr(row, name, value)
