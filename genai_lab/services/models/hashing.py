"""Hashes of what models are made of, computed beside other work where the weights are large."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from genai_lab.models import BACKENDS, Card
from genai_lab.services.models.records import card_of, options, update_row
from storage import models as queries

if TYPE_CHECKING:
    from genai_lab.context import LabContext

log = logging.getLogger(__name__)


def hash_in_background(lab: "LabContext") -> None:
    """Hashes the content of models that was too large for it while a user waited; does nothing without any."""
    with lab.database.reading() as session:
        rows = [row for row in queries.all_models(session) if row.path and row.content_hash is None]
        waiting = [card_of({**row.card, "name": row.name}) for row in rows]
    if waiting:
        threading.Thread(target=_hash_all, args=(lab, waiting), name="hashing", daemon=True).start()


def with_hash(lab: "LabContext", card: Card) -> Card:
    """The card with the hash of its content, computed now if it is not known yet; raises LabError."""
    if card.content_hash is not None or card.path is None:
        return card
    inspected = BACKENDS.get(card.source.backend).inspect(card.source, card.name, replace(options(lab), hash_all=True))
    card = replace(card, content_hash=inspected.content_hash)
    if not lab.worker:
        with lab.database.session() as session:
            row = queries.model_named(session, card.name)
            if row is not None and row.content_hash is None:
                update_row(row, card)
    return card


def _hash_all(lab: "LabContext", cards: Sequence[Card]) -> None:
    for card in cards:
        try:
            with_hash(lab, card)
        except Exception:
            log.warning("the content of %s cannot be hashed", card.name, exc_info=True)
