"""Nearest to the item by the cosine of TF-IDF vectors of words and pairs of words (scikit-learn)."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from genai_lab.metrics.tokenizing import UNSPACED
from genai_lab.prompts.few_shot import SELECTORS, Pool

SPARE = 32
CELLS_AT_ONCE = 4_000_000


class Similar:
    name = "similar"
    title = "Most similar"
    about = "For every item the rows whose words are most like its own (TF-IDF); the seed draws their order."
    per_item = True
    seeded = True

    def rank(
        self, pool: Pool, texts: Sequence[str], k: int, seed: int, fixed: Sequence[int]
    ) -> Iterator[Iterator[int]]:
        vectorizer, pool_matrix = vectors(pool.texts)
        query_matrix = vectorizer.transform(texts)
        step = max(1, CELLS_AT_ONCE // max(1, len(pool.texts)))
        for start in range(0, len(texts), step):
            near = np.asarray((query_matrix[start : start + step] @ pool_matrix.T).todense())
            for row in near:
                yield _best(row, k + SPARE)


def vectors(texts: Sequence[str]) -> tuple[Any, Any]:
    """The fitted vectorizer and the rows' unit vectors, sparse (rows, terms)."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    # Any run of word characters counts, so that texts of single letters have a vector too.
    vectorizer = TfidfVectorizer(
        token_pattern=rf"(?u)[{UNSPACED}]|[^\s{UNSPACED}]+", ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32
    )
    return vectorizer, vectorizer.fit_transform([*texts] or [""])


def _best(near: Any, most: int) -> Iterator[int]:
    """Places by falling likeness, equals in the order of their places; all are sorted only where `most` do not do."""
    nearest: list[int] = []
    if most < len(near):
        edge = np.partition(near, -most)[-most]
        indices = np.flatnonzero(near >= edge)
        nearest = indices[np.argsort(-near[indices], kind="stable")].tolist()
        yield from nearest
    yield from np.argsort(-near, kind="stable").tolist()[len(nearest) :]


SELECTORS.register("similar")(Similar())
