"""A campaign's items page by page."""

from typing import Any

from genai_lab.errors import LabError
from genai_lab.lab import Lab
from storage import feedback as queries

SHOWN = 400


def page(lab: Lab, campaign: int, offset: int, limit: int) -> list[dict[str, Any]]:
    """Items in the order given out: item, prompt, candidates (system, text), how many answers; long texts are cut."""
    with lab.database.reading() as session:
        found = queries.page(session, campaign, offset, limit)
        counts = queries.counts_of_items(session, [item.id for item in found])
    return [
        {
            "item": item.id,
            "prompt": _cut(item.prompt),
            "candidates": [{"system": one.system, "text": _cut(one.text)} for one in item.candidates],
            "answers": counts.get(item.id, 0),
        }
        for item in found
    ]


def candidates(lab: Lab, item: int) -> list[int]:
    """The ids of an item's candidates, in order."""
    with lab.database.reading() as session:
        found = queries.items_with(session, [item]).get(item)
    if found is None:
        raise LabError(f"There is no item {item}.")
    return [one.id for one in found.candidates]


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
