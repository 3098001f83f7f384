"""Texts as vectors: an encoder whose token vectors are pooled into one, such as a sentence-transformers folder."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genai_lab.errors import ModelError
from genai_lab.models import Card
from genai_lab.models.loading import reading_weights
from genai_lab.models.pooling import Pooling, read_pooling
from genai_lab.models.scorer import Scorer, Vectors
from genai_lab.models.tokenizer_panics import clear_panics
from genai_lab.models.transformers import bytes_of

BATCH_TOKENS = 4096
LONGEST = 512


class Embedder(Scorer):
    """A loaded encoder. Raises ModelError for a model of another family."""

    def __init__(self, card: Card, device: str = "cpu") -> None:
        import torch
        from transformers import AutoModel, AutoTokenizer

        if card.path is None or card.family != "encoder":
            raise ModelError(f"{card.name} is not an encoder, so it gives no vectors; choose one, such as MiniLM.")
        options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
        super().__init__(card)
        self.pooling = read_pooling(card.path)
        self._tokenizer = AutoTokenizer.from_pretrained(card.path, **options)
        with reading_weights():
            module = AutoModel.from_pretrained(card.path, use_safetensors=True, dtype=torch.float32, **options)
        self._module = module.to(device).eval()
        self.tensor_bytes = bytes_of(module)
        room = min(card.context or LONGEST, int(self._tokenizer.model_max_length))
        self._longest = min(self.pooling.longest or LONGEST, room)

    def embed(self, texts: Sequence[str]) -> Vectors:
        return pooled_vectors(self._module, self._tokenizer, texts, self.pooling, self._longest)

    @property
    def vector_signature(self) -> str:
        return self.pooling.signature

    def close(self) -> None:
        self._module = None


def pooled_vectors(encoder: Any, tokenizer: Any, texts: Sequence[str], pooling: Pooling, longest: int) -> Vectors:
    """(n, d) in float32. Equal texts are computed once, in batches of like length, the same every time.

    A text of more than `longest` tokens loses its end.
    """
    import torch

    rows = _encoded(tokenizer, texts, pooling, longest)
    pad = int(tokenizer.pad_token_id or 0)
    places: dict[tuple[int, ...], list[int]] = {}
    for place, row in enumerate(rows):
        places.setdefault(tuple(row), []).append(place)
    order = sorted(places, key=lambda row: (len(row), row))
    vectors = np.zeros((len(rows), int(encoder.config.hidden_size)), np.float32)
    while order:
        count = max(1, min(len(order), BATCH_TOKENS // len(order[-1])))
        batch, order = order[-count:], order[:-count]
        width = len(batch[-1])
        ids = torch.tensor([[*row, *[pad] * (width - len(row))] for row in batch], device=encoder.device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in batch], device=encoder.device)
        with torch.inference_mode():
            states = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
            pooled = pool(states.float(), mask, pooling).cpu().numpy()
        for tokens, vector in zip(batch, pooled, strict=True):
            vectors[places[tokens]] = vector
    return vectors


@clear_panics("The tokenizer")
def _encoded(tokenizer: Any, texts: Sequence[str], pooling: Pooling, longest: int) -> list[list[int]]:
    """The tokens of each text, at least one."""
    shown = [pooling.prompt + (text.lower() if pooling.lower_case else text) for text in texts]
    if not shown:
        return []
    rows = tokenizer(shown, truncation=True, max_length=longest)["input_ids"]
    return [list(row) or [int(tokenizer.pad_token_id or 0)] for row in rows]


def pool(states: Any, mask: Any, pooling: Pooling) -> Any:
    """One vector a text, (B, D), from token states (B, T, D) padded on the right and their mask (B, T)."""
    shown = mask[..., None].to(states.dtype)
    sizes = shown.sum(1).clamp(min=1)
    if pooling.mode == "cls":
        pooled = states[:, 0]
    elif pooling.mode == "lasttoken":
        pooled = states[range(len(states)), mask.sum(1) - 1]
    elif pooling.mode == "max":
        pooled = states.masked_fill(shown == 0, float("-inf")).amax(1)
    else:
        pooled = (states * shown).sum(1) / (sizes.sqrt() if pooling.mode == "mean_sqrt_len" else sizes)
    return pooled / pooled.norm(dim=1, keepdim=True).clamp(min=1e-12) if pooling.normalise else pooled


def cosines(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    """The cosine of each row of `first` with the same row of `second`, (n,); 0 where one of them is zero."""
    products = np.einsum("nd,nd->n", first.astype(float), second.astype(float))
    lengths = np.linalg.norm(first, axis=1).astype(float) * np.linalg.norm(second, axis=1).astype(float)
    return np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
