"""Texts as vectors, by the encoders of the catalogue; what was computed before is not computed again."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genai_lab.context import LabContext
from genai_lab.data import Example
from genai_lab.errors import LabError
from genai_lab.models.scorer import Vectors
from genai_lab.prompts.few_shot import ShotSettings
from genai_lab.services import models
from genai_lab.services.models import ModelView
from genai_lab.services.vector_store import VectorStore
from genai_lab.views import View

MOST_TEXTS = 200_000


@dataclass(frozen=True)
class Embedded(View):
    """`vectors` is (n, d) in float32, in the order of the texts; `signature` names model, hash and pooling."""

    model: str
    signature: str
    vectors: Vectors


def names(lab: LabContext) -> list[str]:
    """The embedders that are ready, in the catalogue's order."""
    return [view.card.name for view in models.catalogue(lab, role="embed") if view.status in ("ready", "loaded")]


def default_name(lab: LabContext) -> str:
    """The embedder that is taken where none is named: the first one of the catalogue. Raises LabError without any."""
    embedders = names(lab)
    if not embedders:
        raise LabError(
            "There is no embedder in the catalogue; get all-MiniLM-L6-v2 from the shelf of the Models page, or add the "
            "folder of a sentence-transformers model."
        )
    return embedders[0]


def show(lab: LabContext, model: str = "") -> ModelView:
    """The embedder, or the default one without a name; raises LabError for a model that cannot be used."""
    view = models.show(lab, model or default_name(lab))
    models.check_ready(view)
    if view.card.family not in ("encoder", "classifier") or view.card.role == "reward":
        embedders = ", ".join(names(lab)) or "there is none yet"
        raise LabError(f"{view.card.name} is not an encoder, so it gives no vectors; choose one: {embedders}.")
    return view


def embed(lab: LabContext, texts: Sequence[str], model: str = "") -> Embedded:
    """A vector of each text; raises LabError for a model that is not an encoder or not ready, or too many texts."""
    return Embedder(lab, model).embedded(texts)


def choose_shots(
    lab: LabContext,
    shots: ShotSettings,
    pool: Sequence[Example],
    items: Sequence[Example],
    columns: Sequence[str] | None = None,
) -> list[tuple[Example, ...]]:
    """The shots of every item, by vectors where the way of choosing compares them. Raises LabError."""
    embed = Embedder(lab, shots.embedder).embed if shots.needs_embedder else None
    return shots.choose(pool, items, columns, embed)


class Embedder:
    """An embedder of the catalogue in the lab's memory budget, loaded only for texts whose vectors are not stored."""

    def __init__(self, lab: LabContext, model: str = "") -> None:
        self._lab = lab
        self.card = models.with_hash(lab, show(lab, model).card)
        self.model, self.hash = self.card.name, self.card.content_hash or self.card.name
        self._pooling: str | None = None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """(n, d) in float32."""
        if len(texts) > MOST_TEXTS:
            raise LabError(f"{len(texts):,} texts are too many to embed at once; give at most {MOST_TEXTS:,}.")
        if self.card.path is None:
            return self._computed(list(texts))
        # The files decide the pooling, and their hash is the model's.
        store = VectorStore(self._lab.config.home, self.hash)
        vectors = store.find(texts)
        missing = [text for text in dict.fromkeys(texts) if text not in vectors]
        if missing:
            computed = dict(zip(missing, self._computed(missing), strict=True))
            store.add(computed)
            vectors |= computed
        return np.stack([vectors[text] for text in texts]) if texts else self._computed([])

    def embedded(self, texts: Sequence[str]) -> Embedded:
        return Embedded(self.model, self.signature, self.embed(texts))

    @property
    def signature(self) -> str:
        """Which model and hash, and how its token vectors become one."""
        if self._pooling is None:
            with self._lab.models.scoring(self.card) as scorer:
                self._pooling = scorer.vector_signature
        return f"model:{self.model}|hash:{self.hash[:12]}|{self._pooling}"

    def _computed(self, texts: Sequence[str]) -> Vectors:
        with self._lab.models.scoring(self.card) as scorer:
            self._pooling = scorer.vector_signature
            vectors: Vectors = scorer.embed(texts)
            return vectors
