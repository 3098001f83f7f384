"""What a walk says of each thing on its way, read from the database."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from sqlalchemy.orm import Session

from genai_lab.services.lineage.graph import Node
from genai_lab.services.runs import RUN_KINDS
from storage import evaluation as evaluations
from storage import feedback as campaigns
from storage.feedback_tables import Campaign
from storage.tables import DatasetVersion, Model, Row, Run, RunInput, TemplateVersion


def node_of(session: Session, key: str) -> Node | None:
    """The node of a key such as "run 12"; None where there is no such thing (any more)."""
    kind, _, number = key.partition(" ")
    return _NODES[kind](session, int(number))


def _model(session: Session, number: int) -> Node | None:
    row = session.get(Model, number)
    if row is None:
        return None
    inputs = [f"run {row.made_by_run_id}"] if row.made_by_run_id else []
    inputs += [f"model {row.base_id}"] if row.base_id else []
    address = f"/models?model={quote(row.name, safe='')}"
    detail = {"hash": row.content_hash}
    return _node("model", row, row.name, detail, inputs, address)


def _run(session: Session, number: int) -> Node | None:
    row = evaluations.run_with_inputs(session, number)
    if row is None:
        return None
    inputs = [_key_of(read) for read in row.inputs] + ([f"run {row.parent_id}"] if row.parent_id else [])
    detail = {"seed": row.seed, "code": row.code_revision, "status": row.status}
    detail |= {"deleted": True} if row.deleted_at else {}
    if row.kind in RUN_KINDS:
        detail |= RUN_KINDS.get(row.kind).lineage(row)
    node = _node("run", row, row.title or f"{row.kind} {number}", detail, inputs)
    return replace(node, kind=f"{row.kind} run")


def _key_of(read: RunInput) -> str:
    if read.model_id is not None:
        return f"model {read.model_id}"
    if read.dataset_version_id is not None:
        return f"dataset {read.dataset_version_id}"
    if read.template_version_id is not None:
        return f"template {read.template_version_id}"
    return f"run {read.source_run_id}"


def _dataset(session: Session, number: int) -> Node | None:
    row = session.get(DatasetVersion, number)
    if row is None:
        return None
    inputs = [f"run {row.made_by_run_id}"] if row.made_by_run_id else []
    inputs += [f"votes {number}"] if row.source.get("kind") == "campaign" else []
    detail = {"rows": row.rows, "hash": row.content_hash, "source": row.source}
    name = f"{row.dataset.name}@{row.number}"
    return _node("dataset", row, name, detail, inputs, f"/datasets?dataset={quote(name, safe='')}")


def _template(session: Session, number: int) -> Node | None:
    row = session.get(TemplateVersion, number)
    if row is None:
        return None
    name = f"{row.template.name}@{row.number}"
    detail = {"hash": row.content_hash}
    return _node("template", row, name, detail, (), f"/prompts?template={quote(name, safe='')}")


def _campaign(session: Session, number: int) -> Node | None:
    """A campaign as it stands; it comes from its own run, and from those that generated its candidates."""
    row = session.get(Campaign, number)
    if row is None:
        return None
    own_run = f"run {row.made_by_run_id}"
    read = [_key_of(read) for read in session.get_one(Run, row.made_by_run_id).inputs]
    candidates = [f"run {run_id}" for run_id in campaigns.runs_of_candidates(session, row.id)]
    inputs = [own_run, *(key for key in candidates if key not in read)]
    detail = {"status": row.status, "items": row.items, "seed": row.plan["seed"]}
    return _node("campaign", row, row.name, detail, inputs, f"/feedback?campaign={number}")


def _votes(session: Session, number: int) -> Node | None:
    """What a dataset version holds of its campaign: every answer up to the last that it was made from, the owner's
    decisions, annotators and prompts; its inputs are the runs that made the candidates.
    """
    source = session.get_one(DatasetVersion, number).source
    row = session.get(Campaign, source["campaign"])
    if row is None:
        return None
    names = {annotator.id: annotator.name for annotator in campaigns.annotators(session, row.id)}
    votes = campaigns.votes(session, row.id, source["through"])
    prompts = {item.id: item.prompt for item in campaigns.page(session, row.id, 0, row.items)}
    detail = {
        "annotators": sorted({names[vote.annotator] for vote in votes}),
        "rankings": [
            {
                "ranking": vote.ranking,
                "item": vote.item,
                "annotator": names[vote.annotator],
                "prompt": prompts[vote.item],
            }
            for vote in votes
        ],
        "decisions": [
            {"item": int(item), "prompt": prompts[int(item)], "groups": groups}
            for item, groups in source.get("decided", {}).items()
        ],
        "seed": row.plan["seed"],
    }
    inputs = [f"run {run_id}" for run_id in campaigns.runs_of_candidates(session, row.id)]
    node = _node("campaign", row, row.name, detail, inputs, f"/feedback?campaign={row.id}")
    return replace(node, key=f"votes {number}")


def _node(
    kind: str,
    row: Row,
    name: str,
    detail: dict[str, Any],
    inputs: Sequence[str] = (),
    address: str = "",
) -> Node:
    """A node with the key and the date of its row, each input once."""
    key = f"{kind} {row.id}"
    return Node(key, kind, name, detail, tuple(dict.fromkeys(inputs)), (), row.created_at, address)


_NODES: dict[str, Callable[[Session, int], Node | None]] = {
    "model": _model,
    "run": _run,
    "dataset": _dataset,
    "template": _template,
    "campaign": _campaign,
    "votes": _votes,
}
