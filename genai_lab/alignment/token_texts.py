"""Token ids as the pieces of text that they are, by the tokenizer in a model's folder."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from genai_lab.errors import LabError

BEFORE = 6  # tokens that are decoded with the next one: a character may take several, and spaces belong to neighbours


def token_texts(folder: Path, ids: Sequence[int]) -> list[str]:
    """One text a token, which together are the whole; "" for a token that leaves a character incomplete.

    Raises LabError where the folder has no tokenizer any more.
    """
    tokenizer = _tokenizer(folder)
    texts, behind = [], 0
    for end in range(1, len(ids) + 1):
        start = max(0, behind - BEFORE)
        before = tokenizer.decode(list(ids[start:behind]), skip_special_tokens=False)
        text = tokenizer.decode(list(ids[start:end]), skip_special_tokens=False)
        if text.endswith("\ufffd") and end < len(ids):
            texts.append("")
            continue
        texts.append(text[len(before) :])
        behind = end
    return texts


@lru_cache(maxsize=8)
def _tokenizer(folder: Path) -> Any:
    file = folder / "tokenizer.json"
    if file.is_file():
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(file))
    if not folder.is_dir():
        raise LabError(f"The tokenizer in {folder.name} is gone, so that completions cannot be cut into tokens.")
    from genai_lab.training.loading import load_tokenizer

    return load_tokenizer(folder)
