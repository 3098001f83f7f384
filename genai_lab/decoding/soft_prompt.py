"""What stands before a prompt without being text: learned embeddings, or learned keys and values."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class SoftPrompt:
    """`size` virtual tokens as embeddings (size, D), or as keys and values (1, H, size, D) of each decoder layer.

    Embeddings stand before the prompt's own; keys and values before the decoder's. `module` is the one whose
    `generate` searches with beams behind them.
    """

    size: int
    embeddings: Any = None
    keys_values: tuple[tuple[Any, Any], ...] | None = None
    module: Any = None
