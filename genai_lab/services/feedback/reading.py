"""A campaign's items page by page."""

from dataclasses import dataclass
from typing import Any

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.views import View
from storage import feedback as queries
from storage.feedback_tables import Candidate

SHOWN = 400


@dataclass(frozen=True)
class Noted(View):
    """An answer that asks for the lead's eye; `what` holds "flagged" and "skipped: REASON", as they are. `number`
    counts the items of the campaign from 1.
    """

    item: int
    number: int
    prompt: str
    annotator: str
    what: str
    comment: str


def page(lab: LabContext, campaign: int, offset: int, limit: int) -> list[dict[str, Any]]:
    """Items in the order given out: item, its number in the campaign, prompt, candidates (system, text, text as
    annotators see it), how many answers; long texts are cut.
    """
    with lab.database.reading() as session:
        found = queries.page(session, campaign, offset, limit)
        counts = queries.counts_of_items(session, [item.id for item in found])
    return [
        {
            "item": item.id,
            "number": item.place + 1,
            "prompt": _cut(item.prompt),
            "candidates": [_candidate(one) for one in item.candidates],
            "answers": counts.get(item.id, 0),
        }
        for item in found
    ]


def noted(lab: LabContext, campaign: int, limit: int = 200) -> tuple[list[Noted], int]:
    """What annotators flagged, skipped or said something about, the newest first; at most `limit`, and how many in all.

    An answer that was changed counts as it is now.
    """
    with lab.database.reading() as session:
        found = [one for one in queries.votes(session, campaign) if one.flag or one.skip or one.comment.strip()]
        shown = found[::-1][:limit]
        items = queries.items_with(session, {one.item for one in shown})
        people = {one.id: one.name for one in queries.annotators(session, campaign)}
    made = [
        Noted(
            one.item,
            items[one.item].place + 1,
            _cut(items[one.item].prompt),
            people[one.annotator],
            ", ".join([*["flagged"] * one.flag, *[f"skipped: {one.skip}"] * bool(one.skip)]),
            one.comment.strip(),
        )
        for one in shown
    ]
    return made, len(found)


def candidates(lab: LabContext, item: int) -> list[int]:
    """The ids of an item's candidates, in order."""
    with lab.database.reading() as session:
        found = queries.items_with(session, [item]).get(item)
    if found is None:
        raise LabError(f"There is no item {item}.")
    return [one.id for one in found.candidates]


def _candidate(one: Candidate) -> dict[str, Any]:
    shown = one.text if one.shown is None else one.shown
    return {"system": one.system, "text": _cut(one.text), "shown": _cut(shown)}


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
