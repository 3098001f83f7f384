"""The walk back: from a model to the runs, datasets, campaigns, rankings, annotators, prompts and seeds behind it."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from genai_lab.context import LabContext
from genai_lab.services import models
from genai_lab.views import View
from storage import evaluation as evaluations
from storage import feedback as campaigns
from storage.feedback_tables import Campaign
from storage.tables import DatasetVersion, Model, TemplateVersion


@dataclass(frozen=True)
class Node(View):
    """One thing on the way. `detail` is what is known of it; `inputs` are the keys of what it was made from."""

    key: str
    kind: str
    name: str
    detail: dict[str, Any]
    inputs: tuple[str, ...] = ()


@dataclass
class Lineage:
    """`nodes` by key, from the thing asked for to its beginnings."""

    root: str
    nodes: dict[str, Node] = field(default_factory=dict)

    def of(self, kind: str) -> list[Node]:
        return [node for node in self.nodes.values() if node.kind == kind]

    def as_dict(self) -> dict[str, Any]:
        return {
            "root": self.root,
            "nodes": [
                {"key": one.key, "kind": one.kind, "name": one.name, **one.detail, "inputs": list(one.inputs)}
                for one in self.nodes.values()
            ],
        }


def walk(lab: LabContext, model: str) -> Lineage:
    """Everything that a model of the catalogue came from; raises LabError where there is none of the name."""
    view = models.show(lab, model)
    made = Lineage(f"model {view.id}")
    waiting = deque([made.root])
    with lab.database.reading() as session:
        while waiting:
            key = waiting.popleft()
            if key in made.nodes:
                continue
            kind, _, number = key.partition(" ")
            node = _NODES[kind](session, int(number))
            if node is not None:
                made.nodes[key] = node
                waiting.extend(node.inputs)
    return made


def _model(session: Any, number: int) -> Node:
    row = session.get_one(Model, number)
    inputs = [f"run {row.made_by_run_id}"] if row.made_by_run_id else []
    inputs += [f"model {row.base_id}"] if row.base_id else []
    return Node(f"model {number}", "model", row.name, {"hash": row.content_hash}, tuple(inputs))


def _run(session: Any, number: int) -> Node | None:
    row = evaluations.run_with_inputs(session, number)
    if row is None:
        return None
    inputs: list[str] = []
    for one in row.inputs:
        if one.model_id is not None:
            inputs.append(f"model {one.model_id}")
        elif one.dataset_version_id is not None:
            inputs.append(f"dataset {one.dataset_version_id}")
        elif one.template_version_id is not None:
            inputs.append(f"template {one.template_version_id}")
        else:
            inputs.append(f"run {one.source_run_id}")
    detail = {"seed": row.seed, "code": row.code_revision, "status": row.status}
    return Node(f"run {number}", f"{row.kind} run", row.title or f"{row.kind} {number}", detail, tuple(inputs))


def _dataset(session: Any, number: int) -> Node:
    row = session.get_one(DatasetVersion, number)
    inputs = [f"run {row.made_by_run_id}"] if row.made_by_run_id else []
    inputs += [f"votes {number}"] if row.source.get("kind") == "campaign" else []
    detail = {"rows": row.rows, "hash": row.content_hash, "source": row.source}
    return Node(f"dataset {number}", "dataset", f"{row.dataset.name}@{row.number}", detail, tuple(inputs))


def _template(session: Any, number: int) -> Node:
    row = session.get_one(TemplateVersion, number)
    detail = {"hash": row.content_hash}
    return Node(f"template {number}", "template", f"{row.template.name}@{row.number}", detail)


def _votes(session: Any, number: int) -> Node:
    """What a dataset version holds of its campaign: every answer up to the last that it was made from, the lead's
    decisions, annotators and prompts; its inputs are the runs that made the candidates.
    """
    source = session.get_one(DatasetVersion, number).source
    row = session.get_one(Campaign, source["campaign"])
    people = {one.id: one.name for one in campaigns.annotators(session, row.id)}
    votes = campaigns.votes(session, row.id, source["through"])
    prompts = {item.id: item.prompt for item in campaigns.page(session, row.id, 0, row.items)}
    detail = {
        "annotators": sorted({people[vote.annotator] for vote in votes}),
        "rankings": [
            {
                "ranking": vote.ranking,
                "item": vote.item,
                "annotator": people[vote.annotator],
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
    inputs = tuple(f"run {one}" for one in campaigns.runs_of_candidates(session, row.id))
    return Node(f"votes {number}", "campaign", row.name, detail, inputs)


_NODES = {"model": _model, "run": _run, "dataset": _dataset, "template": _template, "votes": _votes}
