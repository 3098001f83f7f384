"""What the owner sees equals what was put in; the command line says the same; a backup holds everything."""

import json
import sqlite3
import tarfile
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import numpy as np
import pytest

from genai_lab import bootstrap
from genai_lab.cli import main
from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.feedback import CampaignPlan, Option, RankingTask
from genai_lab.feedback.pairs import FORMS
from genai_lab.feedback.simulate import SimulatedAnnotator, ranking
from genai_lab.services import backup, datasets, feedback, lineage, models
from genai_lab.services.feedback import exporting, figures, links, reading
from genai_lab.services.feedback import ranking as annotation_service
from storage import feedback as queries
from storage import runs
from storage.tables import Model, RunInput
from tests.services.test_campaigns import PROVENANCE, answer, campaign, dealt
from tests.tiny import open_lab

STRENGTHS = {"s0": 2.0, "s1": 0.7, "s2": -0.7, "s3": -2.0}


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    opened_lab = open_lab(tmp_path / "home")
    yield opened_lab
    opened_lab.close()


def simulated(lab: LabContext, people: dict[str, SimulatedAnnotator], items: int = 60) -> int:
    """A campaign of rankings of four, answered by annotators of known skill through the desk."""
    number = campaign(lab, "simulated", items=items, size=4, kind="ranking", overlap=len(people), repeats=0.1)
    with lab.database.reading() as session:
        systems = {item: system for item, (_, system, _) in queries.systems(session, number).items()}
    for seed, (name, person) in enumerate(people.items()):
        draw = np.random.default_rng(seed)
        who = links.invite(lab, number, name).annotator
        while cards := dealt(lab, who):
            with lab.database.reading() as session:
                row = next(item for item in _held(session, who) if item.key == cards[0]["key"])
            order = ranking([STRENGTHS[systems[item]] for item in row.shown], person, draw)
            answer(lab, who, cards[0]["key"], [[index] for index in order])
    return number


def _held(session: Any, who: int) -> Any:
    from storage import answering

    return answering.find_annotator(session, who)[1]


def test_simulated_annotators_give_back_the_true_order_and_the_guesser_stands_apart(lab: LabContext) -> None:
    people = {
        "ann": SimulatedAnnotator(),
        "bob": SimulatedAnnotator(),
        "cid": SimulatedAnnotator(),
        "guess": SimulatedAnnotator(skill=0.0),
    }
    number = simulated(lab, people)
    board = figures.leaderboard(lab, number)
    assert [row.system for row in board.rows] == list(STRENGTHS)
    assert all(row.low < row.score < row.high for row in board.rows)
    assert board.needed[0].votes == 0
    result = figures.agreement(lab, number)
    assert [name for name, item in result.apart if item.differs] == ["guess"]
    alpha = result.figures["Krippendorff's alpha, nominal"]
    assert alpha.value is not None
    assert 0.1 < alpha.value < 0.9
    assert result.consistency.n > 0
    assert result.position.p is not None
    assert result.position.p > 0.001
    assert {item.name: item.done for item in figures.progress(lab, number)}.keys() == people.keys()


def test_what_is_in_dispute_is_decided_by_the_lead_and_taken_back(lab: LabContext) -> None:
    number = campaign(lab, items=2, overlap=2)
    for name, groups in (("ann", [[0], [1]]), ("bob", [[0], [1]])):
        who = links.invite(lab, number, name).annotator
        while cards := dealt(lab, who):
            best = 0 if "0" in cards[0]["candidates"][0]["text"][-1] else 1
            expected = best if name == "ann" else 1 - best
            answer(lab, who, cards[0]["key"], [[expected], [1 - expected]] if groups else [])
    disputed = figures.disputes(lab, number)
    assert [item.share for item in disputed] == [1.0, 1.0]
    item = disputed[0]
    ids = [candidate for candidate, _, _ in item.candidates]
    with pytest.raises(LabError, match="names each candidate"):
        figures.adjudicate(lab, item.item, [[ids[0]]])
    figures.adjudicate(lab, item.item, [[ids[1]], [ids[0]]])
    own_result = [pair for pair in exporting.pairs(lab, number) if pair.item == item.item]
    assert [(pair.annotator, pair.chosen) for pair in own_result] == [("lead", item.candidates[1][2])]
    figures.undecide(lab, item.item)
    assert len([pair for pair in exporting.pairs(lab, number) if pair.item == item.item]) == 2
    assert exporting.pairs(lab, number, "majority") == []


def test_gold_items_go_to_everybody_and_tell_who_answers_right(lab: LabContext) -> None:
    options = (Option("a", "good"), Option("b", "bad"))
    tasks = [RankingTask(f"p{n}", options, gold=((0,), (1,))) for n in range(3)] + [RankingTask("q", options)]
    new_campaign = feedback.create(lab, CampaignPlan("gold", repeats=0.0), tasks)
    feedback.move(lab, new_campaign.campaign, "open")
    for name, right in (("ann", True), ("bob", False)):
        who = links.invite(lab, "gold", name).annotator
        while cards := dealt(lab, who):
            good = next(n for n, card in enumerate(cards[0]["candidates"]) if card["text"] == "good")
            order = [[good], [1 - good]] if right else [[1 - good], [good]]
            answer(lab, who, cards[0]["key"], order)
    result = {item.name: (item.done, item.gold) for item in figures.progress(lab, "gold")}
    assert result["ann"][1] == 1.0
    assert result["bob"][1] == 0.0
    assert sorted(completion for completion, _ in result.values()) == [3, 4]
    assert len(exporting.pairs(lab, "gold")) == 1


def test_gold_that_names_the_best_of_three_judges_nothing_else(lab: LabContext) -> None:
    options = tuple(Option(system, text) for system, text in (("a", "good"), ("b", "x"), ("c", "y")))
    tasks = [RankingTask(f"p{n}", options, gold=((0,), (1, 2))) for n in range(2)]
    feedback.create(lab, CampaignPlan("pairs"), tasks)
    with lab.database.reading() as session:
        assert len(queries.golds(session, 1)) == 4  # of six pairs, two are of those behind the best
    feedback.create(lab, CampaignPlan("best", kind="ranking", ties=False, repeats=0.0), tasks)
    feedback.move(lab, "best", "open")
    who = links.invite(lab, "best", "ann").annotator
    while cards := dealt(lab, who):
        good = next(n for n, card in enumerate(cards[0]["candidates"]) if card["text"] == "good")
        answer(lab, who, cards[0]["key"], [[good], *([n] for n in range(3) if n != good)])
    assert [item.gold for item in figures.progress(lab, "best")] == [1.0]


def test_what_cannot_be_said_yet_is_one_sentence(lab: LabContext) -> None:
    number = campaign(lab)
    with pytest.raises(LabError, match="no votes between two systems yet"):
        figures.leaderboard(lab, number)
    with pytest.raises(LabError, match="has no pairs yet"):
        exporting.to_dataset(lab, number)
    assert all(figure.value is None and figure.why for figure in figures.agreement(lab, number).figures.values())


@pytest.mark.parametrize("form", FORMS)
def test_trl_reads_every_form_of_the_export(lab: LabContext, tmp_path: Path, form: str) -> None:
    from datasets import load_dataset
    from trl.data_utils import is_conversational, maybe_extract_prompt, unpair_preference_dataset

    ways = (("ann", ((0,), (1,))),)
    tasks = [RankingTask(f"Say {n}", (Option("x", f"yes {n}"), Option("y", f"no {n}")), votes=ways) for n in range(4)]
    feedback.create(lab, CampaignPlan("c"), tasks, ordered=True)
    path = tmp_path / "pairs.jsonl"
    exporting.export(lab, "c", path, form=form)
    rows = load_dataset("json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert is_conversational(rows[0]) == ("chat" in form)
    full_text = rows.map(maybe_extract_prompt).select_columns(["prompt", "chosen", "rejected"])

    def text(side: Any) -> str:
        return side.strip() if isinstance(side, str) else side[-1]["content"].strip()

    read = {tuple(text(row[name]) for name in ("prompt", "chosen", "rejected")) for row in full_text}
    assert read == {(f"Say {n}", f"yes {n}", f"no {n}") for n in range(4)}
    assert sum(unpair_preference_dataset(full_text)["label"]) == 4


def test_a_backup_is_the_whole_lab_elsewhere(lab: LabContext, tmp_path: Path) -> None:
    number = simulated(lab, {"ann": SimulatedAnnotator()}, items=5)
    exporting.to_dataset(lab, number)
    archive = backup.backup(lab, tmp_path / "lab.tar")
    with pytest.raises(LabError, match="already exists"):
        backup.backup(lab, tmp_path / "lab.tar")
    with pytest.raises(LabError, match="holds a lab already"):
        backup.restore(lab.config, tmp_path / "lab.tar")
    elsewhere = Config(home=tmp_path / "elsewhere")
    again = backup.restore(elsewhere, tmp_path / "lab.tar")
    assert again.rows == archive.rows
    other = bootstrap.open_lab(elsewhere)
    assert list(exporting.rankings(other, number)) == list(exporting.rankings(lab, number))
    assert links.invite(other, number, "ann") == links.invite(lab, number, "ann")
    other.close()
    (tmp_path / "broken.tar").write_bytes((tmp_path / "lab.tar").read_bytes()[:4000])
    with tarfile.open(tmp_path / "other.tar", "w") as other_tar:
        other_tar.add(__file__, "notes.txt")
    (tmp_path / "text.tar").write_text("no archive")
    for name, message in (
        ("broken", "not a complete backup"),
        ("other", "no backup of a lab does"),
        ("text", "text.tar is no .tar"),
    ):
        with pytest.raises(LabError, match=message):
            backup.restore(Config(home=tmp_path / "third"), tmp_path / f"{name}.tar")


def test_a_full_disk_is_one_sentence_and_nothing_is_acknowledged(
    lab: LabContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lab.database.writer.dialect.name != "sqlite":
        pytest.skip("only SQLite's file can be told how large it may become")
    number = campaign(lab)
    ann = links.invite(lab, number, "ann").annotator
    key = dealt(lab, ann)[0]["key"]
    connection = lab.database.writer.raw_connection()
    pages = connection.execute("PRAGMA page_count").fetchone()[0]  # type: ignore[attr-defined]
    connection.close()

    def small(item: sqlite3.Connection, *_: object) -> None:
        item.execute(f"PRAGMA max_page_count = {pages}")

    from sqlalchemy import event

    event.listen(lab.database.writer, "checkout", small)
    try:
        with pytest.raises(LabError, match="disk of the lab is full"):
            [answer(lab, ann, key, revision=number, comment="x" * 4000) for number in range(2000)]
    finally:
        event.remove(lab.database.writer, "checkout", small)
        connection = lab.database.writer.raw_connection()
        connection.execute("PRAGMA max_page_count = 1000000")  # type: ignore[attr-defined]
        connection.close()
    with lab.database.reading() as session:
        (vote,) = queries.votes(session, number)
    assert annotation_service.answers(lab, ann, 1)[0]["revision"] >= 0
    assert answer(lab, ann, key, revision=5000)["saved"] is True
    assert vote.ranking > 0


def test_the_command_line_makes_follows_and_exports_a_campaign(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENAI_LAB_HOME", str(tmp_path / "home"))
    file = tmp_path / "votes.jsonl"
    rows = [
        {"prompt": f"p{n}", "completions": ["a", f"b{n}"], "systems": ["x", "y"], "annotator1": 1 + n % 2}
        for n in range(8)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def said(*arguments: str) -> Any:
        assert main(["feedback", *arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    assert said("import", str(file), "--name", "c")["items"] == 8
    assert said("open", "c")["status"] == "open"
    assert said("pause", "c")["status"] == "paused"
    assert said("status", "c")["progress"][0]["done"] == 8
    assert said("link", "c", "ann")["link"].startswith("http://127.0.0.1:7860/rank/with/")
    assert said("leaderboard", "c")["votes"] == 8
    assert "figures" in said("agreement", "c")
    file_of = said("export", "c", "--out", str(tmp_path / "out.csv"))
    assert (file_of["pairs"], file_of["dataset"]) == (8, "c-pairs@1")
    assert said("export", "c") == {"dataset": "c-pairs@1", "rows": 8, "splits": ANY}
    assert said("close", "c")["status"] == "closed"
    for name in ("nothing", "²", "99999999999999999999"):
        assert main(["feedback", "open", name]) == 2
        assert f"There is no campaign '{name}'" in capsys.readouterr().err
    for arguments in (
        ["feedback", "create", "--from-run", "9" * 20],
        ["demo", "link", "9" * 20],
        ["jobs", "show", "²"],
    ):
        with pytest.raises(SystemExit):
            main(arguments)
        assert "is not a number from 0 to 999,999,999" in capsys.readouterr().err


def test_a_majority_weighs_those_who_call_it_a_tie(lab: LabContext) -> None:
    answers = (((0,), (1,)), ((0,), (1,)), ((1,), (0,)), ((0, 1),), ((0, 1),))
    votes = tuple((f"u{n}", groups) for n, groups in enumerate(answers))
    options = (Option("a", "1"), Option("b", "2"))
    feedback.create(lab, CampaignPlan("tied"), [RankingTask("p", options, votes=votes)], ordered=True)
    (pair,) = exporting.pairs(lab, "tied", "majority")
    assert (pair.chosen, pair.weight) == ("1", pytest.approx(1 / 5))


def test_a_walk_shows_the_votes_that_were_learned_from_and_none_of_later(lab: LabContext, tmp_path: Path) -> None:
    options = (Option("a", "1"), Option("b", "2"))
    new_campaign = feedback.create(
        lab, CampaignPlan("c", overlap=2, repeats=0.0), [RankingTask(f"p{n}", options) for n in range(4)]
    )
    feedback.move(lab, "c", "open")
    ann, late = (links.invite(lab, "c", name).annotator for name in ("ann", "late"))
    while cards := dealt(lab, ann):
        answer(lab, ann, cards[0]["key"])
    with lab.database.reading() as session:
        item = queries.page(session, new_campaign.campaign, 0, 1)[0]
    order = [[candidate.id] for candidate in item.candidates]
    figures.adjudicate(lab, item.id, order)
    exported = exporting.export(lab, "c", tmp_path / "pairs.jsonl")
    assert exported.dataset == "c-pairs@1"
    with lab.database.session() as session:
        inputs = [RunInput(role="dataset", dataset_version_id=datasets.show(lab, exported.dataset).id)]
        run = runs.add_run(session, inputs, kind="train", settings={}, status="finished", **PROVENANCE)
        session.get_one(Model, models.show(lab, "starter-causal").id).made_by_run_id = run.id
    answer(lab, late, dealt(lab, late)[0]["key"])
    figures.undecide(lab, item.id)
    (node,) = lineage.walk(lab, "starter-causal").of("campaign")
    assert [item["annotator"] for item in node.detail["rankings"]] == ["ann"] * 4
    assert node.detail["decisions"] == [{"item": item.id, "prompt": item.prompt, "groups": order}]


def test_agreement_and_leaderboard_say_the_same_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENAI_LAB_HOME", str(tmp_path / "home"))
    file = tmp_path / "votes.jsonl"
    best = {"annotator1": 1, "annotator2": 1, "annotator3": 1}
    rows = [{"prompt": f"p{n}", "completions": ["a", "b"], "systems": ["x", "y"], "gold": 0, **best} for n in range(3)]
    rows += [{**row, "prompt": f"q{n}", "gold": 1 if n == 0 else None} for n, row in enumerate(rows * 2)]
    file.write_text("".join(json.dumps({k: v for k, v in row.items() if v is not None}) + "\n" for row in rows))
    assert main(["feedback", "import", str(file), "--name", "c"]) == 0

    def said(*arguments: str) -> str:
        capsys.readouterr()
        assert main(["feedback", *arguments]) == 0
        return capsys.readouterr().out

    board = said("leaderboard", "c")
    assert "none: it won every vote" in board
    assert "x to y:" in board
    report = said("agreement", "c")
    assert "self-consistency: no item was answered twice yet" in report
    assert "annotator2: 1.000" in report.partition("against the majority of the others")[2]
    assert "of gold items right" in said("status", "c")
    assert said("link", "c", "ann", "--revoke") == "The link of ann has ended; --renew gives a new one.\n"


def test_fresh_completions_of_models_and_temperatures_are_drawn_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENAI_LAB_HOME", str(tmp_path / "home"))
    file = tmp_path / "prompts.txt"
    file.write_text("The cat\n\nA boy\n")
    arguments = [
        "feedback",
        "draw",
        "--prompts",
        str(file),
        "--model",
        "starter-causal",
        "--max-new-tokens",
        "6",
        "--json",
    ]
    several = ["--temperature", "0.7", "--temperature", "1.4", "--samples", "2"]
    assert main([*arguments, *several, "--kind", "ranking", "--open", "--wait"]) == 0
    output = json.loads(capsys.readouterr().out)
    assert (output["items"], output["status"]) == (2, "open")
    lab = bootstrap.open_lab(Config(home=tmp_path / "home"))
    rows = reading.page(lab, output["campaign"], 0, 9)
    assert sorted(item["prompt"] for item in rows) == ["A boy", "The cat"]
    assert {item["system"].partition("temperature ")[2] for row in rows for item in row["candidates"]} == {"0.7", "1.4"}
    lab.close()
    assert main(arguments) == 2
    assert "make 1 candidate an item" in capsys.readouterr().err
    assert main([*arguments[:3], str(tmp_path / "none"), *arguments[4:]]) == 2
    assert "There is no file" in capsys.readouterr().err


def test_a_walk_of_a_starter_ends_with_itself(lab: LabContext) -> None:
    assert [node.name for node in lineage.walk(lab, "starter-causal").nodes.values()] == ["starter-causal"]
