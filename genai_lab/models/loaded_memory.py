"""What a loaded model takes of this process, as it was measured around its loading."""

from typing import Any

from genai_lab.memory import import_engine, release, resident
from genai_lab.models.card import Card


def engine_memory() -> int:
    """Bytes of this process before a model is loaded, with the libraries that all models need."""
    import_engine()
    release()
    return resident()


def memory_taken(card: Card, generator: Any, before: int) -> int | None:
    """What loading took, with the cache that one text may need; None where this process does not hold the model.

    What other threads do meanwhile would count too, so the figure is kept between the tensors and twice the estimate.
    """
    tensors = getattr(generator, "tensor_bytes", None)
    if tensors is None or not card.has_weights:
        return None
    release()
    cache = card.cache_bytes or 0
    foreseen = max(tensors, (card.memory_bytes or 0) - cache)
    taken = resident() - before + int(getattr(generator, "later_bytes", 0))
    return int(min(max(tensors, taken), 2 * foreseen)) + cache
