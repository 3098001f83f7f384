"""Queries on what was made from what, walked forward: the rows that name other rows as their origin."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from storage.feedback_tables import Campaign, Candidate, Item
from storage.tables import DatasetVersion, Generation, Model, Run, RunInput

Edge = tuple[str, str]  # two keys such as "run 12": the origin and what was made from it


def edges_from(session: Session, kind: str, ids: Sequence[int], limit: int) -> list[Edge]:
    """What was made from the models, runs, dataset versions, template versions or campaigns with these ids.

    At most `limit` edges of each sort, the oldest first.
    """
    edges: dict[Edge, None] = {}
    for made_kind, statement in _statements(kind, ids):
        for origin_id, made_id in session.execute(statement.distinct().limit(limit)):
            edges[f"{kind} {origin_id}", f"{made_kind} {made_id}"] = None
    return list(edges)


def _statements(kind: str, ids: Sequence[int]) -> list[tuple[str, Select[Any]]]:
    """Selects of (origin's id, id of what was made), each with the kind of what was made."""
    if kind == "model":
        return [
            ("run", _pairs(RunInput.model_id, RunInput.run_id, ids)),
            ("model", _pairs(Model.base_id, Model.id, ids)),
        ]
    if kind == "dataset":
        return [("run", _pairs(RunInput.dataset_version_id, RunInput.run_id, ids))]
    if kind == "template":
        return [("run", _pairs(RunInput.template_version_id, RunInput.run_id, ids))]
    if kind == "campaign":
        campaign_id = DatasetVersion.source["campaign"].as_integer()
        exported = DatasetVersion.source["kind"].as_string() == "campaign"
        return [("dataset", _pairs(campaign_id, DatasetVersion.id, ids).where(exported))]
    return [
        ("model", _pairs(Model.made_by_run_id, Model.id, ids)),
        ("dataset", _pairs(DatasetVersion.made_by_run_id, DatasetVersion.id, ids)),
        ("campaign", _pairs(Campaign.made_by_run_id, Campaign.id, ids)),
        ("run", _pairs(RunInput.source_run_id, RunInput.run_id, ids)),
        ("run", _pairs(Run.parent_id, Run.id, ids)),
        ("campaign", _candidates(ids)),
    ]


def _pairs(origin: ColumnElement[Any] | Any, made: Any, ids: Sequence[int]) -> Select[Any]:
    return select(origin, made).where(origin.in_(ids)).order_by(made)


def _candidates(ids: Sequence[int]) -> Select[Any]:
    """Campaigns whose candidates the runs generated, where the campaign's own run does not name them as inputs."""
    named = (
        select(RunInput.id)
        .where(RunInput.run_id == Campaign.made_by_run_id, RunInput.source_run_id == Generation.run_id)
        .exists()
    )
    return (
        _pairs(Generation.run_id, Campaign.id, ids)
        .join(Candidate, Candidate.generation_id == Generation.id)
        .join(Item, Item.id == Candidate.item_id)
        .join(Campaign, Campaign.id == Item.campaign_id)
        .where(~named)
    )
