"""Walks from one thing: back to the runs, datasets, campaigns, votes, prompts and seeds behind it, and forward to all
that was made from it.
"""

from collections import deque
from dataclasses import replace
from urllib.parse import quote

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.errors import LabError, UnknownName
from genai_lab.services import datasets, feedback, history, models, templates
from genai_lab.services.lineage.graph import DOWNSTREAM, UPSTREAM, Lineage, Node
from genai_lab.services.lineage.nodes import node_of
from storage import lineage as queries
from storage.tables import Run

KINDS = ("run", "model", "dataset", "template", "campaign")
NEAREST = 1000  # how many things downstream are read unless more are asked for


def walk(lab: LabContext, model: str, limit: int | None = None) -> Lineage:
    """The lineage of a model of the catalogue; raises LabError where there is none of the name.

    `limit` is the largest number of nodes in each direction, nearest first; without it everything upstream is read
    and the nearest NEAREST downstream.
    """
    return _walk(lab, f"model {models.show(lab, model).id}", limit)


def walk_run(lab: LabContext, run_id: int, limit: int | None = None) -> Lineage:
    """The lineage of a run; raises LabError where there is none."""
    with lab.database.reading() as session:
        if session.get(Run, run_id) is None:
            raise LabError(f"There is no run {run_id}; the history lists the existing ones.")
    return _walk(lab, f"run {run_id}", limit)


def walk_dataset(lab: LabContext, version: int | str, limit: int | None = None) -> Lineage:
    """The lineage of a version of a dataset, by its id or NAME@NUMBER."""
    return _walk(lab, f"dataset {datasets.show(lab, version).id}", limit)


def walk_template(lab: LabContext, name: str, limit: int | None = None) -> Lineage:
    """The lineage of a version of a template, by NAME@NUMBER."""
    return _walk(lab, f"template {templates.show(lab, name).id}", limit)


def walk_campaign(lab: LabContext, campaign: int | str, limit: int | None = None) -> Lineage:
    """The lineage of a campaign, by its id or name."""
    return _walk(lab, f"campaign {feedback.show(lab, campaign).id}", limit)


def walk_from(lab: LabContext, kind: str, name: str, limit: int | None = None) -> Lineage:
    """The lineage of a thing that is named as in the address of its page; raises LabError where there is none."""
    if kind not in KINDS:
        raise UnknownName("kind", kind, KINDS)
    if kind == "run":
        if not (name.strip().isdecimal() and len(name.strip()) < 10):
            raise LabError(f"{name[:50]!r} is not the number of a run; History lists them.")
        return walk_run(lab, int(name), limit)
    by_name = {"model": walk, "dataset": walk_dataset, "template": walk_template, "campaign": walk_campaign}
    return by_name[kind](lab, name.strip(), limit)


def address_of(kind: str, name: str | int) -> str:
    """The page that shows the lineage of a thing."""
    return f"/lineage?{kind}={quote(str(name), safe='')}"


def _walk(lab: LabContext, root: str, limit: int | None) -> Lineage:
    with lab.database.reading() as session:
        nodes, whole_upstream = _upstream(session, root, limit)
        downstream, whole_downstream = _downstream(session, nodes[root], limit or NEAREST)
    nodes[root] = downstream.pop(root)
    complete = {UPSTREAM: whole_upstream, DOWNSTREAM: whole_downstream}
    incomplete = tuple(direction for direction, is_complete in complete.items() if not is_complete)
    return Lineage(root, _with_pages(lab, nodes), _with_pages(lab, downstream), incomplete)


def _upstream(session: Session, root: str, limit: int | None) -> tuple[dict[str, Node], bool]:
    """The nodes behind the root, breadth first, with the root; and whether that is all of them."""
    nodes: dict[str, Node] = {}
    queue = deque([root])
    while queue:
        key = queue.popleft()
        if key in nodes or (node := node_of(session, key)) is None:
            continue
        if limit is not None and len(nodes) > limit:
            return nodes, False
        nodes[key] = node
        queue.extend(node.inputs)
    return nodes, True


def _downstream(session: Session, root: Node, limit: int) -> tuple[dict[str, Node], bool]:
    """What was made from the root, level by level, with the root; and whether that is all of it."""
    nodes, level = {root.key: root}, [root.key]
    while level:
        outputs: dict[str, list[str]] = {key: [] for key in level}
        edges = _edges(session, level, limit + 1)
        for origin, made in edges:
            outputs[origin].append(made)
        level = []
        for origin, keys in outputs.items():
            nodes[origin] = replace(nodes[origin], outputs=tuple(keys))
            for key in keys:
                if key in nodes or (node := node_of(session, key)) is None:
                    continue
                if len(nodes) > limit:
                    return nodes, False
                nodes[key] = node
                level.append(key)
        if len(edges) > limit:  # there may be more of them than were read
            return nodes, False
    return nodes, True


def _edges(session: Session, keys: list[str], limit: int) -> list[queries.Edge]:
    ids: dict[str, list[int]] = {}
    for key in keys:
        kind, _, number = key.partition(" ")
        ids.setdefault(kind, []).append(int(number))
    return [edge for kind, numbers in ids.items() for edge in queries.edges_from(session, kind, numbers, limit)]


def _with_pages(lab: LabContext, nodes: dict[str, Node]) -> dict[str, Node]:
    """The nodes with the pages of their runs, and what these were about."""
    run_ids = [int(key.partition(" ")[2]) for key in nodes if key.startswith("run ")]
    rows = {f"run {run_id}": row for run_id, row in history.rows_of(lab, run_ids).items()}
    return {
        key: replace(node, address=rows[key].address, about=rows[key].prompt_start) if key in rows else node
        for key, node in nodes.items()
    }
