"""Votes as labels of single completions, as KTO reads them, and the one way in which a campaign's training begins."""

import json
from pathlib import Path
from typing import Any

import pytest

from genai_lab.context import LabContext
from genai_lab.errors import BadSetting, LabError, UnknownName
from genai_lab.feedback import CampaignPlan, Option, RankingTask
from genai_lab.feedback.labels import Label, labels_of, majority_labels
from genai_lab.services import datasets, feedback
from genai_lab.services.feedback import campaign_models, exporting, links, ranking
from tests.fake_lab import fake_lab as fake_lab


def campaign(lab: LabContext, answers: dict[str, dict[str, Any]], *people: str) -> int:
    """A campaign with an item for each prompt, which every one of the people answers alike; groups name A or B."""
    options = (Option("first", "A"), Option("second", "B"))
    tasks = [RankingTask(prompt, options) for prompt in answers]
    made = feedback.create(lab, CampaignPlan("demo", overlap=len(people), repeats=0.0), tasks)
    feedback.move(lab, made.campaign, "open")
    for person in people:
        annotator = links.invite(lab, made.campaign, person).annotator
        while cards := ranking.next_cards(lab, annotator, (), 1).result(30)["cards"]:
            texts = [candidate["text"] for candidate in cards[0]["candidates"]]
            sent = dict(answers[cards[0]["prompt"]])
            if "groups" in sent:
                sent["groups"] = [[texts.index(text) for text in group] for group in sent["groups"]]
            sent |= {"key": cards[0]["key"], "revision": 0, "seconds": 1.0}
            ranking.answer(lab, annotator, sent).result(30)
    return made.campaign


ANSWERS = {
    "better": {"groups": ["A", "B"]},
    "tie": {"groups": ["AB"]},
    "both bad": {"both_bad": True},
    "skipped": {"skip": "cannot judge"},
}


@pytest.mark.parametrize(
    ("groups", "both_bad", "expected"),
    [
        ([[1], [2]], False, [(1, True), (2, False)]),
        ([[1, 2]], False, []),
        ([[1, 2]], True, [(1, False), (2, False)]),
        ([[3], [1, 4], [2]], False, [(3, True), (2, False)]),
        ([[3, 1], [4], [2]], True, [(3, False), (1, False), (4, False), (2, False)]),
    ],
)
def test_an_answer_labels_what_it_says_of_a_completion_by_itself(
    groups: list[list[int]], both_bad: bool, expected: list[tuple[int, bool]]
) -> None:
    assert list(labels_of(groups, both_bad)) == expected


def test_the_majority_labels_a_completion_and_even_votes_do_not() -> None:
    def label(item: int, annotator: str, good: bool) -> Label:
        return Label("p", "c", good, item, annotator, "helpful", "m", 1)

    votes = [label(1, "a", True), label(1, "b", False), label(1, "c", True), label(2, "a", True), label(2, "b", False)]
    assert [(vote.item, vote.label, vote.annotator) for vote in majority_labels(votes)] == [(1, True, "majority")]


def test_votes_of_a_demo_become_rows_with_a_label_each(fake_lab: LabContext, tmp_path: Path) -> None:
    number = campaign(fake_lab, ANSWERS, "ann", "bob")
    version = exporting.to_dataset(fake_lab, number, content="labels")
    rows = datasets.examples(fake_lab, version.id)
    said = sorted((row.fields["prompt"], row.fields["completion"], row.fields["label"]) for row in rows)
    once = [("better", "A", "true"), ("better", "B", "false"), ("both bad", "A", "false"), ("both bad", "B", "false")]
    assert said == sorted(once * 2)
    assert version.roles == {"input": ("prompt",), "reference": ("completion",), "label": ("label",)}
    assert exporting.to_dataset(fake_lab, number, content="labels").id == version.id
    assert exporting.to_dataset(fake_lab, number).rows == 2  # as pairs, "both bad" is lost
    assert exporting.to_dataset(fake_lab, number, content="labels", votes="majority").rows == 4
    with fake_lab.database.reading() as session:
        from storage import datasets as queries
        from storage.tables import Run

        row = queries.version(session, version.id)
        assert row is not None
        run = session.get(Run, row.made_by_run_id)
        assert run is not None
        assert [(read.role, read.source_run_id) for read in run.inputs] == [
            ("campaign", feedback.show(fake_lab, number).run)
        ]
    exported = exporting.export(fake_lab, number, tmp_path / "labels.jsonl", what="labels")
    first = json.loads((tmp_path / "labels.jsonl").read_text().splitlines()[0])
    assert (exported.rows, exported.dataset) == (8, version.name)
    assert {"prompt", "completion", "label"} <= set(first)  # as TRL reads unpaired preferences
    assert isinstance(first["label"], bool)


def test_a_campaign_of_ties_alone_has_no_labels(fake_lab: LabContext) -> None:
    number = campaign(fake_lab, {"tie": {"groups": ["AB"]}}, "ann")
    with pytest.raises(LabError, match="demo has no labels yet"):
        exporting.to_dataset(fake_lab, number, content="labels")
    with pytest.raises(BadSetting, match="one of pairs, labels"):
        exporting.to_dataset(fake_lab, number, content="rankings")


def test_what_cannot_be_trained_leaves_no_dataset_behind(fake_lab: LabContext) -> None:
    number = campaign(fake_lab, ANSWERS, "ann")
    for changed in ({"objective": "nothing"}, {"method": "nothing"}):
        with pytest.raises(UnknownName):
            campaign_models.train(fake_lab, number, "starter-causal", **changed)
    with pytest.raises(UnknownName):
        campaign_models.train(fake_lab, number, "no-model")
    assert campaign_models.versions(fake_lab, number) == []
