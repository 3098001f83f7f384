"""What the lab says of a policy: KL playground, hacking card, toxicity, by service, API and command."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from genai_lab.api import Lab
from genai_lab.cli import main
from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.errors import BadSetting, LabError
from genai_lab.services import datasets, jobs, training
from genai_lab.services.alignment import hacking_card, playground, toxicity
from genai_lab.training import DatasetSpec
from pages.align import reports
from tests.training.test_policies import plan_of

Finish = Callable[[int], Any]


@pytest.fixture(scope="module")
def run(lab: LabContext, finish_job: Finish) -> int:
    started = training.start(lab, plan_of("t5", "rloo", rewards=["-1 * length", "0 * pattern"], beta=0.1))
    finish_job(started.job_id)
    return started.run_id


@pytest.fixture
def command(lab: LabContext, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def call(*arguments: str) -> str:
        assert main(arguments) in (0, None)
        return capsys.readouterr().out

    monkeypatch.setattr("genai_lab.bootstrap.open_lab", lambda config: lab)
    monkeypatch.setattr(lab, "close", lambda: None)
    return call


def test_the_playground_has_a_point_of_each_evaluation(lab: LabContext, run: int) -> None:
    view = playground.show(lab, run)
    assert [point.step for point in view.points] == [0, 1, 2]
    assert view.points[0].kl.value == 0
    assert view.gold == "pattern"
    assert view.beta == 0.1
    assert set(view.points[0].parts) == {"length", "pattern"}


def test_the_slider_says_which_checkpoint_and_what_it_costs(lab: LabContext, run: int) -> None:
    free, dear = playground.choose(lab, run, 0.0), playground.choose(lab, run, 1e6)
    assert dear.point.step == 0
    assert "the base stays" in dear.sentence
    assert free.point.score.value == max(point.score.value or 0 for point in playground.show(lab, run).points)
    assert free.examples[0][1] == dear.examples[0][2]
    with pytest.raises(BadSetting):
        playground.choose(lab, run, -1.0)


def test_base_samples_give_the_frontier(lab: LabContext, run: int, finish_job: Finish) -> None:
    with pytest.raises(BadSetting):
        playground.start(lab, run, 1)
    finish_job(playground.start(lab, run, 6))
    view = playground.show(lab, run)
    assert view.samples == 6
    assert [best.n for best in view.best_of] == [2]
    assert all((point.kl.value or 0) >= 0 for point in view.frontier)
    assert not view.flags


def test_runs_of_other_betas_are_points_of_their_own(lab: LabContext, run: int, finish_job: Finish) -> None:
    other = training.start(lab, plan_of("t5", "rloo", rewards=["-1 * length", "0 * pattern"], beta=0.7))
    finish_job(other.job_id)
    assert [(sibling.run, sibling.beta) for sibling in playground.show(lab, run).siblings] == [(other.run_id, 0.7)]


def test_the_card_reads_the_last_evaluation(lab: LabContext, run: int) -> None:
    view = hacking_card.show(lab, run)
    assert view.step == 2
    assert view.card.gold is not None
    assert view.card.gold.label == "pattern"
    assert view.card.n == 6
    assert hacking_card.show(lab, run, step=1, gold="").card.gold is None
    with pytest.raises(LabError, match="choose one of 1, 2"):
        hacking_card.show(lab, run, step=0)
    with pytest.raises(LabError, match="has no part 'truth'"):
        hacking_card.show(lab, run, gold="truth")


def test_a_run_on_pairs_has_no_card_and_says_so(lab: LabContext) -> None:
    rows = [{"prompt": f"a {n}", "chosen": "yes", "rejected": "no"} for n in range(30)]
    split = SplitPlan(by="ratio", ratios=(0.6, 0.2, 0.2), seed=1)
    version = datasets.import_rows(lab, rows, "answers", {"kind": "test"}, split=split)
    data = (DatasetSpec(version.name),)
    plan = replace(plan_of(), data=data, objective="dpo", objective_settings={})
    started = training.start(lab, plan)
    with pytest.raises(LabError, match="records no scored completions of held-out prompts"):
        hacking_card.show(lab, started.run_id)
    jobs.cancel(lab, started.job_id)


def test_toxicity_is_measured_on_both_sides(lab: LabContext, run: int, finish_job: Finish) -> None:
    with pytest.raises(LabError, match="start it first"):
        toxicity.show(lab, run)
    with pytest.raises(BadSetting):
        toxicity.start(lab, run, completions=1)
    started = toxicity.start(lab, run, completions=2, rows=4)
    finish_job(started.matrix.job_id)
    finish_job(started.job_id)
    table = toxicity.show(lab, run)
    rows = {(row.metric, row.figure): row for row in table.rows}
    assert {("toxicity", "toxicity"), ("toxicity", "toxic_share"), ("expected_max_toxicity", "expected_max_toxicity"),
            ("perplexity", "perplexity"), ("diversity", "distinct")} <= rows.keys()  # fmt: skip
    mean = rows["toxicity", "toxicity"]
    assert mean.before.low <= mean.before.value <= mean.before.high  # type: ignore[operator]
    assert mean.comparison.comparison.n == 4
    assert not table.rewarded
    assert "no part of the reward" in table.sentence


def test_the_page_shows_chart_card_and_what_the_checkpoint_says(lab: LabContext, run: int) -> None:
    updates = reports.draw(lab, {"run": run, "wl.beta": 0.0})
    names = [trace["name"] for trace in updates["wl.plot"]["value"].to_plotly_json()["data"]]
    assert names[:2] == ["score", "gold: pattern"]
    assert names[-1] == "chosen"
    assert updates["wl.choice"]["note"] == playground.choose(lab, run, 0.0).sentence
    card = hacking_card.show(lab, run).card
    assert updates["wl.card"]["verdict"] == card.verdict
    read = sum(signal.reading is not None for signal in card.signals)
    assert len(updates["wl.card"]["rows"]) == 2 + read
    assert updates["wl.mark"] == reports.mark(lab, run)
    assert reports.on_tick(lab, {"run": run, "wl.beta": 0.0, "wl.mark": updates["wl.mark"]}) == {}
    assert "Choose a run" in reports.draw(lab, {"run": None, "wl.beta": 0.0})["wl.choice"]["note"]


def test_the_command_prints_what_the_api_returns(lab: LabContext, run: int, command: Callable[..., str]) -> None:
    api = Lab(lab).alignment
    assert f"{run}" in command("align", "list")
    assert len(json.loads(command("align", "rollouts", str(run), "--json"))) == len(api.rollouts(run)) == 8
    assert json.loads(command("align", "playground", str(run), "--json")) == api.playground(run).as_dict()
    assert api.choose(run, 0.2).sentence in command("align", "playground", str(run), "--beta", "0.2")
    assert json.loads(command("align", "card", str(run), "--json")) == api.card(run).as_dict()
    printed = command("align", "card", str(run))
    assert api.card(run).card.sentence in printed
    assert "Entropy" in printed
