"""From a campaign's rankings to a reward model and a policy, and from the policy into the next campaign."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from genai_lab.api import Lab
from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.feedback import CampaignPlan, Option, RankingTask
from genai_lab.services import datasets, feedback, jobs, lineage, rewards, training
from genai_lab.services.feedback import campaign_models, exporting
from genai_lab.services.training import reward_studies
from tests.tiny import open_lab
from tests.training.models import WORDS, tiny

Done = Callable[[int], Any]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabContext]:
    """Two annotators have preferred the second word on forty prompts."""
    opened_lab = open_lab(
        tmp_path_factory.mktemp("home"), llama=tiny(tmp_path_factory.mktemp("models") / "llama", "llama")
    )
    ways = (("ann", ((0,), (1,))), ("bob", ((0,), (1,))))
    tasks = [
        RankingTask(f"Say {a} {n}", (Option("good", f"{b} please"), Option("bad", f"{b} no")), votes=ways)
        for n, (a, b) in enumerate(zip(WORDS * 4, WORDS[3:] * 4, strict=False))
    ][:40]
    feedback.create(opened_lab, CampaignPlan("polite", overlap=2), tasks, ordered=True)
    yield opened_lab
    opened_lab.close()


def start_from_votes(lab: LabContext, objective: str, finish_job: Done, votes: str) -> training.TrainingView:
    dataset = exporting.to_dataset(lab, "polite", votes=votes)
    plan = reward_studies.resolve_default(lab, dataset.name, "llama", "full", 30, objective).plan
    plan = replace(
        plan, training=replace(plan.training, per_device_batch_size=4, learning_rate=3e-3, eval_steps=15, max_length=32)
    )
    run = training.start(lab, plan)
    finish_job(run.job_id)
    return training.show(lab, run.run_id)


@pytest.fixture(scope="module")
def reward_run(lab: LabContext, finish_job: Done) -> training.TrainingView:
    return start_from_votes(lab, "reward", finish_job, "kept")


def test_a_reward_model_prefers_what_annotators_did_and_knows_them(
    lab: LabContext, reward_run: training.TrainingView
) -> None:
    view = reward_run
    assert view.report["accuracy"]["value"] == 1.0
    assert view.model is not None
    assert rewards.rank(lab, view.model, "Say it", ["tea no", "tea please"])[0][0] == 1
    (campaign,) = lineage.walk(lab, view.model).of("campaign")
    assert campaign.detail["annotators"] == ["ann", "bob"]
    assert len(campaign.detail["rankings"]) == 80
    runs = campaign_models.of(lab, "polite").runs
    assert [run.id for run in runs if run.plan.objective == "reward"] == [view.id]
    study = campaign_models.study(lab, view.id, campaign_models.CURVE)
    assert campaign_models.of(lab, "polite").waiting == 4
    for run in training.find(lab, parent=study):
        training.cancel(lab, run.id)
    flipped = training.find(lab, parent=campaign_models.study(lab, view.id, campaign_models.LABELS, ["bob"], "flip"))
    assert [run.plan.objective_settings.get("flipped", "") for run in flipped] == ["bob", ""]
    for run in flipped:
        training.cancel(lab, run.id)


def test_a_policy_goes_straight_into_the_next_campaign(
    lab: LabContext, finish_job: Done, reward_run: training.TrainingView
) -> None:
    view = start_from_votes(lab, "dpo", finish_job, "majority")
    assert view.model is not None
    assert {"validation reward margin", "validation chosen reward"} <= set(training.curves(lab, view))
    assert view.report["accuracy"]["value"] == 1.0
    assert view.report["accuracy"]["n"] > 0
    rewarded = campaign_models.of(lab, "polite").rewarded
    assert rewarded is not None
    assert rewarded.id == reward_run.id
    with pytest.raises(LabError, match="names no annotator; train a reward model on each vote"):
        campaign_models.study(lab, view.id, campaign_models.LABELS)
    comparison = campaign_models.before_and_after(lab, view.id, rows=4)
    finish_job(comparison.generating)
    finish_job(comparison.job)
    campaign = feedback.show(lab, comparison.campaign)
    assert campaign.items >= 1
    assert campaign.status == "draft"
    assert jobs.show(lab, comparison.job).status == "finished"
    with pytest.raises(LabError, match="made no policy"):
        campaign_models.before_and_after(lab, reward_run.id)


def test_kto_reads_the_votes_as_labels_and_pages_and_api_begin_it_alike(lab: LabContext, finish_job: Done) -> None:
    settings = {"max_steps": 2, "per_device_batch_size": 4, "max_length": 32, "beta": 0.2}
    started = campaign_models.train(lab, "polite", "llama", objective="kto", settings=settings)
    assert started.model == "polite-kto"
    finish_job(started.job_id)
    view = training.show(lab, started.run_id)
    assert view.plan.objective_settings["beta"] == 0.2
    version = datasets.show(lab, view.plan.data[0].dataset)
    assert version.source["content"] == "labels"
    assert (version.rows, view.outcome["rows"]) == (160, 8)  # two candidates, two annotators, forty prompts
    (campaign,) = lineage.walk(lab, started.model).of("campaign")
    assert campaign.detail["annotators"] == ["ann", "bob"]
    again = Lab(lab).campaigns.get("polite").tune_policy("llama", objective="kto", method="full", **settings)
    assert again.model == "polite-kto-2"
    assert again.view.plan == view.plan
    training.cancel(lab, again.id)
