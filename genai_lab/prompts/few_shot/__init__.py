"""Which solved examples a prompt shows: a family, one way of choosing a file."""

from genai_lab.prompts.few_shot.selection import (
    MOST_SHOTS,
    SELECTORS,
    Embed,
    Pool,
    Selector,
    ShotSettings,
    needs_embedder,
    select,
    text_of,
)

__all__ = [
    "MOST_SHOTS",
    "SELECTORS",
    "Embed",
    "Pool",
    "Selector",
    "ShotSettings",
    "needs_embedder",
    "select",
    "text_of",
]
