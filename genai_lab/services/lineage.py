"""The walk back from a model or run to the runs, datasets, campaigns, votes, prompts and seeds behind it."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import models
from genai_lab.services.runs import RUN_KINDS
from genai_lab.views import View
from storage import evaluation as evaluations
from storage import feedback as campaigns
from storage.feedback_tables import Campaign
from storage.tables import DatasetVersion, Model, Run, RunInput, TemplateVersion


@dataclass(frozen=True)
class Node(View):
    """One step of the walk. `detail` says more about it; `inputs` are the keys of what it was made from."""

    key: str
    kind: str
    name: str
    detail: dict[str, Any]
    inputs: tuple[str, ...] = ()


@dataclass
class Lineage:
    """`nodes` by key, from the model or run where the walk starts to its origins."""

    root: str
    nodes: dict[str, Node] = field(default_factory=dict)

    def of(self, kind: str) -> list[Node]:
        return [node for node in self.nodes.values() if node.kind == kind]

    def as_dict(self) -> dict[str, Any]:
        return {
            "root": self.root,
            "nodes": [
                {"key": node.key, "kind": node.kind, "name": node.name, **node.detail, "inputs": list(node.inputs)}
                for node in self.nodes.values()
            ],
        }


def walk(lab: LabContext, model: str) -> Lineage:
    """Everything that a model of the catalogue came from; raises LabError where there is none of the name."""
    return _walk(lab, f"model {models.show(lab, model).id}")


def walk_run(lab: LabContext, run_id: int) -> Lineage:
    """Everything that a run was made from; raises LabError where there is none."""
    with lab.database.reading() as session:
        if session.get(Run, run_id) is None:
            raise LabError(f"There is no run {run_id}; the history lists those there are.")
    return _walk(lab, f"run {run_id}")


def walk_dataset(lab: LabContext, version_id: int) -> Lineage:
    """Everything that a version of a dataset came from."""
    return _walk(lab, f"dataset {version_id}")


def _walk(lab: LabContext, root: str) -> Lineage:
    """The breadth-first walk back from a key."""
    lineage = Lineage(root)
    queue = deque([root])
    with lab.database.reading() as session:
        while queue:
            key = queue.popleft()
            if key in lineage.nodes:
                continue
            kind, _, number = key.partition(" ")
            node = _NODES[kind](session, int(number))
            if node is not None:
                lineage.nodes[key] = node
                queue.extend(node.inputs)
    return lineage


def _model(session: Session, number: int) -> Node:
    row = session.get_one(Model, number)
    inputs = [f"run {row.made_by_run_id}"] if row.made_by_run_id else []
    inputs += [f"model {row.base_id}"] if row.base_id else []
    return Node(f"model {number}", "model", row.name, {"hash": row.content_hash}, tuple(inputs))


def _run(session: Session, number: int) -> Node | None:
    row = evaluations.run_with_inputs(session, number)
    if row is None:
        return None
    inputs = tuple(_key_of(read) for read in row.inputs)
    detail = {"seed": row.seed, "code": row.code_revision, "status": row.status}
    if row.kind in RUN_KINDS:
        detail |= RUN_KINDS.get(row.kind).lineage(row)
    return Node(f"run {number}", f"{row.kind} run", row.title or f"{row.kind} {number}", detail, inputs)


def _key_of(read: RunInput) -> str:
    if read.model_id is not None:
        return f"model {read.model_id}"
    if read.dataset_version_id is not None:
        return f"dataset {read.dataset_version_id}"
    if read.template_version_id is not None:
        return f"template {read.template_version_id}"
    return f"run {read.source_run_id}"


def _dataset(session: Session, number: int) -> Node:
    row = session.get_one(DatasetVersion, number)
    inputs = [f"run {row.made_by_run_id}"] if row.made_by_run_id else []
    inputs += [f"votes {number}"] if row.source.get("kind") == "campaign" else []
    detail = {"rows": row.rows, "hash": row.content_hash, "source": row.source}
    return Node(f"dataset {number}", "dataset", f"{row.dataset.name}@{row.number}", detail, tuple(inputs))


def _template(session: Session, number: int) -> Node:
    row = session.get_one(TemplateVersion, number)
    detail = {"hash": row.content_hash}
    return Node(f"template {number}", "template", f"{row.template.name}@{row.number}", detail)


def _votes(session: Session, number: int) -> Node:
    """What a dataset version holds of its campaign: every answer up to the last that it was made from, the lead's
    decisions, annotators and prompts; its inputs are the runs that made the candidates.
    """
    source = session.get_one(DatasetVersion, number).source
    row = session.get_one(Campaign, source["campaign"])
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
    inputs = tuple(f"run {run_id}" for run_id in campaigns.runs_of_candidates(session, row.id))
    return Node(f"votes {number}", "campaign", row.name, detail, inputs)


_NODES = {"model": _model, "run": _run, "dataset": _dataset, "template": _template, "votes": _votes}
