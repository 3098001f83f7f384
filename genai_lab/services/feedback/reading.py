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
    """An answer that asks for the owner's eye; `what` holds "flagged" and "skipped: REASON", as they are. `number`
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
        page_items = queries.page(session, campaign, offset, limit)
        counts = queries.counts_of_items(session, [item.id for item in page_items])
    return [
        {
            "item": item.id,
            "number": item.place + 1,
            "prompt": _cut(item.prompt),
            "candidates": [_candidate(candidate) for candidate in item.candidates],
            "answers": counts.get(item.id, 0),
        }
        for item in page_items
    ]


def find_remarks(lab: LabContext, campaign: int, limit: int = 200) -> tuple[list[Noted], int]:
    """What annotators flagged, skipped or said something about, the newest first; at most `limit`, and how many in all.

    An answer that was changed counts as it is now.
    """
    with lab.database.reading() as session:
        noted_votes = [
            vote for vote in queries.votes(session, campaign) if vote.flag or vote.skip or vote.comment.strip()
        ]
        newest = noted_votes[::-1][:limit]
        items = queries.items_with(session, {vote.item for vote in newest})
        people = {vote.id: vote.name for vote in queries.annotators(session, campaign)}
    result = [
        Noted(
            vote.item,
            items[vote.item].place + 1,
            _cut(items[vote.item].prompt),
            people[vote.annotator],
            ", ".join([*["flagged"] * vote.flag, *[f"skipped: {vote.skip}"] * bool(vote.skip)]),
            vote.comment.strip(),
        )
        for vote in newest
    ]
    return result, len(noted_votes)


def check_item(lab: LabContext, campaign: int, item: int) -> None:
    """Raises LabError for an item that is not in the campaign."""
    with lab.database.reading() as session:
        item_row = queries.items_with(session, [item]).get(item)
    if item_row is None or item_row.campaign_id != campaign:
        raise LabError(f"There is no item {item} in campaign {campaign}; its disputes name the items.")


def order_groups(lab: LabContext, item: int, text: str) -> list[list[int]]:
    """An order such as A > B = C as groups of the ids of the item's candidates; raises LabError."""
    letters = {chr(65 + number): candidate for number, candidate in enumerate(candidates(lab, item))}
    groups = [[part.strip().upper() for part in group.split("=")] for group in text.split(">")]
    if not all(part in letters for group in groups for part in group):
        raise LabError(f"{text[:60]!r} is not an order; write {' > '.join(letters)}, with = between equal candidates.")
    return [[letters[part] for part in group] for group in groups]


def candidates(lab: LabContext, item: int) -> list[int]:
    """The ids of an item's candidates, in order."""
    with lab.database.reading() as session:
        item_row = queries.items_with(session, [item]).get(item)
    if item_row is None:
        raise LabError(f"There is no item {item}.")
    return [candidate.id for candidate in item_row.candidates]


def _candidate(candidate: Candidate) -> dict[str, Any]:
    masked_text = candidate.text if candidate.shown is None else candidate.shown
    return {"system": candidate.system, "text": _cut(candidate.text), "shown": _cut(masked_text)}


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
