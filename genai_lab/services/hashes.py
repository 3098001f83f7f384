"""Hashes of what models are made of, counted beside other work where the weights are large."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace

from genai_lab.context import LabContext
from genai_lab.models import BACKENDS, Card
from genai_lab.services import model_rows
from storage import models as queries

log = logging.getLogger(__name__)


def hash_in_background(lab: LabContext) -> None:
    """Hashes the content of models that was too large for it while a user waited; nothing happens without any."""
    with lab.database.reading() as session:
        rows = [row for row in queries.all_models(session) if row.path and row.content_hash is None]
        waiting = [model_rows.card_of({**row.card, "name": row.name}) for row in rows]
    if waiting:
        threading.Thread(target=_hash_all, args=(lab, waiting), name="hashing", daemon=True).start()


def hashed(lab: LabContext, card: Card) -> Card:
    """The card with its content's hash, counted now if it is not known yet; raises LabError."""
    if card.content_hash is not None or card.path is None:
        return card
    wanted = replace(model_rows.options(lab), hash_all=True)
    found = BACKENDS.get(card.source.backend).inspect(card.source, card.name, wanted)
    made = replace(card, content_hash=found.content_hash)
    if not lab.worker:
        with lab.database.session() as session:
            row = queries.model_named(session, card.name)
            if row is not None and row.content_hash is None:
                model_rows.take_over(row, made)
    return made


def _hash_all(lab: LabContext, cards: Sequence[Card]) -> None:
    for card in cards:
        try:
            hashed(lab, card)
        except Exception:
            log.warning("the content of %s cannot be hashed", card.name, exc_info=True)
