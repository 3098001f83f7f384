"""Semantic similarity: the cosine of a completion's vector and the nearest reference's (Reimers and Gurevych, 2019)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from genai_lab.errors import LabError
from genai_lab.evaluation.sample import Figure, Sample
from genai_lab.metrics.base import METRICS, PredictionsPerRow, Requirements, Rows


@dataclass(frozen=True)
class Settings:
    model: str = field(
        default="", metadata={"help": "An embedder of the catalogue; empty: the first one.", "role": "embed"}
    )


class SemanticSimilarity:
    name = "semantic_similarity"
    title = "Semantic similarity"
    about = "The cosine of a completion's vector and the nearest reference's; an empty completion has 0."
    citation = "Reimers and Gurevych, 2019: Sentence-BERT, sentence embeddings using Siamese BERT-networks"
    needs = "model"
    predictions_per_row: PredictionsPerRow = "one"
    settings = Settings
    figures = (Figure("semantic_similarity", "semantic similarity", low=-1.0),)

    def requirements(self, settings: Settings) -> Requirements:
        return Requirements(references=True, scorer="vectors", model=settings.model)

    def rows(
        self, predictions: Sequence[str], references: Sequence[Sequence[str]], settings: Settings, model: Any = None
    ) -> Rows:
        if model is None:
            raise LabError("Semantic similarity needs an embedder of the catalogue; add one, such as MiniLM.")
        texts = list(predictions) + [text for row in references for text in row]
        vectors = np.asarray(model.embed(texts), dtype=float)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
        starts = len(predictions) + np.cumsum([0, *map(len, references)])
        values = np.array(
            [
                (vectors[start:end] @ vectors[row]).max() if predictions[row].strip() else 0.0
                for row, (start, end) in enumerate(pairwise(starts))
            ]
        )
        return Rows({"semantic_similarity": Sample(values)}, f"{model.signature}|nearest reference")


METRICS.register(SemanticSimilarity.name)(SemanticSimilarity())
