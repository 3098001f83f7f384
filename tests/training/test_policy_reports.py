"""What the lab says of a policy: KL playground, hacking card, toxicity, by service, API and command."""

from collections.abc import Callable
from typing import Any

import pytest

from genai_lab.context import LabContext
from genai_lab.errors import BadSetting, LabError
from genai_lab.services import training
from genai_lab.services.alignment import hacking_card, playground
from tests.training.test_policies import plan_of

Finish = Callable[[int], Any]


@pytest.fixture(scope="module")
def run(lab: LabContext, finish_job: Finish) -> int:
    started = training.start(lab, plan_of("t5", "rloo", rewards=["-1 * length", "0 * pattern"], beta=0.1))
    finish_job(started.job_id)
    return started.run_id


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
