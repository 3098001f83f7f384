"""Lineage: walked back and forward alike from every kind of thing, within limits, and serialised in one way."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import genai_lab as gl
from genai_lab.errors import LabError
from genai_lab.services import feedback, history, lineage
from genai_lab.services.feedback import exporting, links, ranking
from genai_lab.services.lineage import DOWNSTREAM, UPSTREAM, Lineage, Node
from pages import lineage as page
from tests.inline_jobs import run_inline

ROWS = [{"prompt": f"Say {word}.", "answer": word} for word in ("hello", "goodbye", "yes", "no") * 3]
THINGS = [
    ("model", "fake"),
    ("model", "fake-completion"),
    ("dataset", "greetings@1"),
    ("dataset", "greetings@2"),
    ("template", "greet@1"),
    ("campaign", "stories"),
    ("dataset", "stories-pairs@1"),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[gl.Lab]:
    """A dataset and its split, an evaluation of two models on it, a campaign on completions and its exported pairs."""
    with gl.open(tmp_path_factory.mktemp("home"), device="cpu") as lab:
        roles = {"prompt": "prompt", "target": "answer"}
        whole_set = lab.datasets.load(ROWS, "greetings", roles=roles, split="none")
        split = whole_set.split(ratios=(0.5, 0.25, 0.25), seed=1)
        lab.templates.save("greet", "Say it: {{ input }}", task="other")
        models = ["fake", "fake-completion"]
        started = lab.evaluate(models, split, template="greet", metrics=["exact_match"], max_new_tokens=4)
        assert started.job_id is not None
        assert run_inline(lab.context, started.job_id).status == "finished"
        runs = [lab.generate("fake", f"Once {n}", max_new_tokens=3 + m, seed=m) for n in range(2) for m in (1, 2)]
        campaign = lab.campaigns.create("Which is better?", runs=runs, name="stories")
        feedback.move(lab.context, campaign.id, "open")
        annotator = links.invite(lab.context, campaign.id, "ann").annotator
        while cards := ranking.next_cards(lab.context, annotator, (), 1).result(30)["cards"]:
            order = [[place] for place in range(len(cards[0]["candidates"]))]
            answer = {"key": cards[0]["key"], "revision": 0, "seconds": 1.0, "groups": order}
            ranking.answer(lab.context, annotator, answer).result(30)
        exporting.to_dataset(lab.context, campaign.id)
        yield lab


def all_things(lab: gl.Lab) -> list[tuple[str, str]]:
    rows = [*history.history(lab.context, limit=100).rows, *history.history(lab.context, kind="predict").rows]
    return [*THINGS, *(("run", str(row.id)) for row in rows)]


def test_what_is_downstream_of_a_thing_has_that_thing_upstream(lab: gl.Lab) -> None:
    graphs = [lineage.walk_from(lab.context, *thing) for thing in all_things(lab)]
    upstream = {graph.root: set(graph.nodes) - {graph.root} for graph in graphs}
    downstream = {graph.root: set(graph.downstream) for graph in graphs}
    assert {"model", "dataset", "template", "campaign", "run"} == {root.partition(" ")[0] for root in upstream}
    pairs = {(root, key) for root, keys in downstream.items() for key in keys}
    mirrored = {(key, root) for root, keys in upstream.items() for key in keys if key in downstream}
    # A version of pairs names the answers that it holds, "votes", in the place of the campaign as it stands.
    campaign = {pair for pair in pairs if pair[0].startswith("campaign ")}
    assert len(pairs) > 20
    exported = lineage.walk_dataset(lab.context, "stories-pairs@1").root
    assert campaign == {(lineage.walk_campaign(lab.context, "stories").root, exported)}
    assert pairs - campaign == mirrored


def test_a_model_knows_all_that_was_done_with_it(lab: gl.Lab) -> None:
    graph = lab.lineage("fake")
    kinds = [node.kind for node in graph.downstream.values()]
    assert {"predict run", "evaluate run", "generate run", "campaign run", "campaign", "dataset"} <= set(kinds)
    assert [node.name for node in lab.lineage("fake-completion").nodes.values()] == ["fake-completion"]
    nodes = graph.downstream.values()
    assert all(node.created_at and node.address.startswith("/") for node in nodes)
    assert {node.about for node in nodes if node.kind == "generate run"} == {"Once 0", "Once 1"}
    assert "Made from it:" in str(graph)


def test_pairs_lead_back_to_every_vote_prompt_and_model(lab: gl.Lab) -> None:
    graph = lab.lineage(dataset="stories-pairs@1")
    (votes,) = graph.of("campaign")
    assert [vote["annotator"] for vote in votes.detail["rankings"]] == ["ann", "ann"]
    assert votes.address == lineage.walk_campaign(lab.context, "stories").nodes["campaign 1"].address
    assert [node.name for node in graph.of("model")] == ["fake"]
    assert lab.campaigns.get("stories").lineage().of("generate run")


def test_a_limit_ends_a_walk_near_the_root_and_says_so(lab: gl.Lab) -> None:
    near = lab.lineage("fake", limit=3)
    assert (len(near.downstream), near.incomplete) == (3, (DOWNSTREAM,))
    assert "There is more downstream" in str(near)
    back = lab.lineage(dataset="stories-pairs@1", limit=2)
    assert len(back.nodes) == 3
    assert UPSTREAM in back.incomplete
    assert lab.lineage("fake").incomplete == ()


def test_a_tree_opens_each_node_once_even_in_a_circle() -> None:
    links_of = {"run 1": ("run 2", "run 3"), "run 2": ("run 3",), "run 3": ("run 1",)}
    nodes = {key: Node(key, "run", key, {}, inputs) for key, inputs in links_of.items()}
    lines = Lineage("run 1", nodes).tree()
    assert [(line.depth, line.node.key, line.repeated) for line in lines] == [
        (0, "run 1", False),
        (1, "run 2", False),
        (2, "run 3", False),
        (3, "run 1", True),
        (1, "run 3", True),
    ]


def test_a_long_chain_is_a_tree_too() -> None:
    nodes = {f"run {n}": Node(f"run {n}", "run", f"run {n}", {}, (f"run {n + 1}",)) for n in range(5000)}
    lines = Lineage("run 0", nodes).tree()
    assert [line.depth for line in lines] == list(range(5000))


@pytest.mark.parametrize(
    ("kind", "name", "sentence"),
    [
        ("run", "9999", "There is no run 9999"),
        ("run", "twelve", "'twelve' is not the number of a run"),
        ("model", "nobody", "nobody"),
        ("dataset", "nothing@7", "There is no dataset 'nothing@7'"),
        ("campaign", "none", "There is no campaign 'none'"),
        ("planet", "mars", "planet"),
    ],
)
def test_what_is_not_there_is_one_sentence(lab: gl.Lab, kind: str, name: str, sentence: str) -> None:
    with pytest.raises(LabError, match=sentence):
        lineage.walk_from(lab.context, kind, name)
    with pytest.raises(LabError, match="2 were given"):
        lab.lineage("fake", run=1)


def test_page_command_and_api_print_the_same(
    lab: gl.Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from genai_lab.cli import main

    monkeypatch.setattr("genai_lab.bootstrap.open_lab", lambda config: lab.context)
    monkeypatch.setattr(lab.context, "close", lambda: None)
    assert main(["lineage", "--campaign", "stories", "--limit", "40", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(page.to_json(lab.context, "campaign", "stories", 40))
    assert printed == lab.lineage(campaign="stories", limit=40).as_dict()
    assert main(["lineage", "fake"]) == 0
    assert "campaign stories" in capsys.readouterr().out


def test_views_know_the_address_of_their_page(lab: gl.Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENAI_LAB_URL", "http://lab/")
    job = lab.jobs.list()[0]
    assert lab.models["fake"].url == "http://lab/models?model=fake"
    assert lab.templates["greet"].url == "http://lab/prompts?template=greet%401"
    assert job.url == f"http://lab/jobs?job={job.id}"
    assert lab.history.list()[0].url.startswith("http://lab/")
    assert lab.lineage("fake").nodes[lab.lineage("fake").root].url == "http://lab/models?model=fake"


# The page


def request(**parameters: str) -> Any:
    return SimpleNamespace(query_params=parameters)


def test_the_address_says_what_the_page_shows(lab: gl.Lab) -> None:
    updates = page.load_page(lab.context, request(dataset="stories-pairs@1"))
    trees = updates["trees"]
    assert (updates["kind"], trees["root"]["name"]) == ("dataset", "stories-pairs@1")
    back, forward = trees["sides"]
    assert [line["kind"] for line in back["lines"][:2]] == ["Import", "Campaign"]
    assert (forward["lines"], forward["nothing"]) == ([], "Nothing yet.")
    kinds = {line["kind"]: line for line in back["lines"]}
    assert kinds["Completion"]["lineage"].startswith("/lineage?run=")
    assert kinds["Model"]["address"] == "/models?model=fake"
    assert page.load_page(lab.context, request()) == {"trees": {}}
    missing = page.load_page(lab.context, request(run="9999"))
    assert missing["trees"]["problem"].startswith("There is no run 9999")
    assert missing["copy"]["visible"] is False


def test_show_more_shows_four_times_as_many(lab: gl.Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "FIRST", 2)
    first = page.show_first(lab.context, {"kind": "model", "name": "fake"})
    assert (first["more"]["visible"], first["trees"]["sides"][1]["count"]) == (True, "2 or more")
    second = page.show_more(lab.context, {"kind": "model", "name": "fake", "limit": first["limit"]})
    assert (second["limit"], second["trees"]["sides"][1]["count"]) == (8, "8 or more")
    empty = page.show_first(lab.context, {"kind": "model", "name": " "})
    assert empty["trees"]["problem"].startswith("Write which model you mean")
