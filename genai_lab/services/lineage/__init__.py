"""What a model, run, dataset, template or campaign came from, and what was made from it."""

from genai_lab.services.lineage.graph import DOWNSTREAM, UPSTREAM, Line, Lineage, Node, text_of
from genai_lab.services.lineage.walking import (
    KINDS,
    address_of,
    walk,
    walk_campaign,
    walk_dataset,
    walk_from,
    walk_run,
    walk_template,
)

__all__ = [
    "DOWNSTREAM", "KINDS", "UPSTREAM", "Line", "Lineage", "Node", "address_of", "text_of", "walk", "walk_campaign",
    "walk_dataset", "walk_from", "walk_run", "walk_template",
]  # fmt: skip
