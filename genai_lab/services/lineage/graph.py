"""What a walk returns: nodes by key, in both directions from a root, and the tree in which they are read."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from genai_lab.views import View, page_url, to_plain

UPSTREAM, DOWNSTREAM = "upstream", "downstream"


@dataclass(frozen=True)
class Node(View):
    """One model, run, dataset version, template version or campaign.

    `detail` says more about it, `about` in one line what a run was about; `inputs` are the keys of what it was made
    from, `outputs` those of what was made from it (known of the root and of what is downstream). `address` is its page.
    """

    _computed = ("url",)
    key: str
    kind: str
    name: str
    detail: dict[str, Any]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    created_at: datetime | None = None
    address: str = ""
    about: str = ""

    @property
    def url(self) -> str:
        return page_url(self.address)

    def fields(self, links: str) -> dict[str, Any]:
        """The node as JSON, with the keys of the "inputs" or "outputs"."""
        general = {"key": self.key, "kind": self.kind, "name": self.name, "about": self.about, "url": self.url}
        date = {"created_at": self.created_at}
        plain: dict[str, Any] = to_plain({**general, **date, **self.detail, links: getattr(self, links)})
        return plain


@dataclass(frozen=True)
class Line(View):
    """One line of a tree: a node at its depth; `repeated` where what lies below it stands above already."""

    depth: int
    node: Node
    repeated: bool = False


@dataclass
class Lineage:
    """`nodes` by key, from the root (where the walk starts) back to its origins; `downstream` holds what was made from
    the root, near things first. Where a walk ended at its limit, the direction is among `incomplete`.
    """

    root: str
    nodes: dict[str, Node] = field(default_factory=dict)
    downstream: dict[str, Node] = field(default_factory=dict)
    incomplete: tuple[str, ...] = ()

    def of(self, kind: str) -> list[Node]:
        return [node for node in self.nodes.values() if node.kind == kind]

    def as_dict(self) -> dict[str, Any]:
        return {
            "root": self.root,
            "nodes": [node.fields("inputs") for node in self.nodes.values()],
            "downstream": [node.fields("outputs") for node in self.downstream.values()],
            "incomplete": list(self.incomplete),
        }

    def tree(self, direction: str = UPSTREAM) -> list[Line]:
        """The nodes of one direction as a tree from the root, which is at depth 0; a node is opened once."""
        forward = direction == DOWNSTREAM
        nodes = {self.root: self.nodes[self.root], **self.downstream} if forward else self.nodes
        lines: list[Line] = []
        opened: set[str] = set()
        stack = [(self.root, 0)]
        while stack:
            key, depth = stack.pop()
            node = nodes[key]
            below = [other for other in (node.outputs if forward else node.inputs) if other in nodes]
            lines.append(Line(depth, node, repeated=bool(below) and key in opened))
            if key not in opened:
                opened.add(key)
                stack += [(other, depth + 1) for other in reversed(below)]
        return lines

    def __str__(self) -> str:
        text = [text_of(line) for line in self.tree()]
        if self.downstream:
            text += ["", "Made from it:", *(text_of(line) for line in self.tree(DOWNSTREAM)[1:])]
        text += [f"There is more {direction}; raise the limit to read it." for direction in self.incomplete]
        return "\n".join(text)


def text_of(line: Line) -> str:
    """A line for a terminal."""
    node = line.node
    detail = f", seed {node.detail['seed']}" if "seed" in node.detail else ""
    if "rankings" in node.detail:
        detail += f", {len(node.detail['rankings']):,} rankings by {', '.join(node.detail['annotators'])}"
    date = f"{node.created_at:%Y-%m-%d %H:%M}  " if node.created_at else ""
    mark = " (opened above)" if line.repeated else ""
    return f"{date}{'  ' * line.depth}{node.key}  {node.kind} {node.name}{detail}{mark}"
