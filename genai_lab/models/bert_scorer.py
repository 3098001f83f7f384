"""An encoder as the library bert-score uses it, where that is installed."""

import importlib.util
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genai_lab.errors import ModelError
from genai_lab.models import Card
from genai_lab.models.loading import reading_weights
from genai_lab.models.scorer import Scorer
from genai_lab.models.transformers import bytes_of

MISSING = "BERTScore needs the package bert-score; install it (pip install bert-score), or choose semantic similarity."
BATCH, LONGEST = 32, 512


def check_installed() -> None:
    """Raises ModelError where the library is missing, without importing it."""
    if importlib.util.find_spec("bert_score") is None:
        raise ModelError(MISSING)


class BertScorer(Scorer):
    """A loaded encoder; `layer` 0 is its last one. Raises ModelError without the library."""

    def __init__(self, card: Card, device: str = "cpu", layer: int = 0) -> None:
        from transformers import AutoConfig

        check_installed()
        try:
            from bert_score import BERTScorer, __version__
        except ImportError as problem:
            raise ModelError(f"{MISSING.rstrip('.')} ({problem}).") from None
        if card.path is None or card.family not in ("encoder", "classifier"):
            raise ModelError(f"{card.name} is not an encoder, so BERTScore cannot use it; choose one, such as MiniLM.")
        super().__init__(card)
        layers = int(AutoConfig.from_pretrained(card.path, local_files_only=True).num_hidden_layers)
        if layer > layers:
            raise ModelError(f"{card.name} has {layers} layers, so there is no layer {layer}; choose 1 to {layers}.")
        self.layer = layer or layers
        with reading_weights():
            self._scorer = BERTScorer(
                model_type=str(card.path), num_layers=self.layer, device=device, batch_size=BATCH,
                use_fast_tokenizer=True,
            )  # fmt: skip
        # A tokenizer that names no length would have the library cut texts at a number that no tokenizer takes.
        tokenizer = self._scorer._tokenizer
        tokenizer.model_max_length = min(tokenizer.model_max_length, card.context or LONGEST)
        self.tensor_bytes = bytes_of(self._scorer._model)
        self.library = f"bert-score {__version__}"

    def bert_scores(self, texts: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """(precision, recall, F1) of each text against its references, (n, 3); the best reference counts for each."""
        parts = self._scorer.score(list(texts), [list(several) for several in references])
        return np.stack([part.double().numpy() for part in parts], axis=1)

    def close(self) -> None:
        self._scorer = None
