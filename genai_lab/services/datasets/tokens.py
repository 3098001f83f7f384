"""How many tokens texts have for a model, by its tokenizer alone: the model itself is not loaded."""

from collections.abc import Callable, Sequence
from typing import Any

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.models.tokenizer_panics import clear_panics
from genai_lab.services import models

BATCH = 1_000


def counter(lab: LabContext, model: str) -> Callable[[Sequence[str]], list[int]]:
    """A function that counts; raises LabError for a model without a tokenizer of its own."""
    card = models.show(lab, model).card
    card.require_torch("counting the tokens of a dataset")
    path = card.path
    if path is None:
        raise LabError(f"{model} keeps its tokenizer to itself; choose a model that lies on this machine.")
    if not (path / "tokenizer.json").is_file():
        return _slow(path, model)
    from tokenizers import Tokenizer

    try:
        with clear_panics(f"The tokenizer of {model}"):
            tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    except LabError:
        raise
    except Exception as problem:  # the library raises bare Exception for a damaged file
        raise LabError(f"The tokenizer of {model} cannot be read ({problem}).") from problem
    tokenizer.no_truncation()
    tokenizer.no_padding()

    @clear_panics(f"The tokenizer of {model}")
    def count(texts: Sequence[str]) -> list[int]:
        counts: list[int] = []
        for start in range(0, len(texts), BATCH):
            batch = tokenizer.encode_batch_fast(list(texts[start : start + BATCH]), add_special_tokens=False)
            counts += [len(encoding.ids) for encoding in batch]
        return counts

    return count


def _slow(path: Any, model: str) -> Callable[[Sequence[str]], list[int]]:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError, ImportError) as problem:
        raise LabError(f"{model} has no tokenizer that can be read; choose another model.") from problem

    @clear_panics(f"The tokenizer of {model}")
    def count(texts: Sequence[str]) -> list[int]:
        return [len(tokenizer.encode(text, add_special_tokens=False)) for text in texts]

    return count
