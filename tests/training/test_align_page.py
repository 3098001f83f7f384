"""The Align page without a browser: plans through its form, runs and their curves, rollouts read token by token."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote_plus

import pytest

import pages  # noqa: F401  (turns Gradio's analytics off)
from genai_lab.alignment.records import EVALUATIONS, ROLLOUTS
from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import alignment, models, training
from genai_lab.training import DatasetSpec, Training, TrainingPlan
from genai_lab.training.loading import load_tokenizer
from pages.align import new, page, plans, rollouts, runs, tokens
from pages.finetune import run_panels

TRAINING = Training(
    max_steps=3, per_device_batch_size=4, max_length=48, validation_rows=6, eval_steps=1, seed=3, learning_rate=5e-3
)
PLAN = TrainingPlan(
    "llama", (DatasetSpec("pairs", ("plain",)),), "ppo", "lora",
    objective_settings={"rewards": ["-1 * length", "0 * repetition"], "max_completion_length": 8, "num_generations": 2},
    training=TRAINING,
)  # fmt: skip


def value_of(update: Any) -> Any:
    return update["value"] if isinstance(update, dict) and "__type__" in update else update


@pytest.fixture(scope="module")
def run(lab: LabContext, finish_job: Any) -> int:
    started = training.start(lab, PLAN, title="short replies")
    finish_job(started.job_id)
    return started.run_id


def chosen(run: int | None, **changes: Any) -> dict[str, Any]:
    values = {"kind": ROLLOUTS, "step": 1, "order": "as drawn", "cut": False, "colour": "KL", "index": None}
    return {"run": run, "ro.mark": "", "ro.follow": True, **{f"ro.{k}": v for k, v in (values | changes).items()}}


def test_a_plan_goes_through_the_form_and_what_it_does_not_show_stays(lab: LabContext) -> None:
    for plan in (PLAN, *plans.EXAMPLES.values()):
        values = {name: value_of(update) for name, update in plans.write_plan(plan, "my policy").items()}
        again, name = plans.read_plan(values)
        assert name == "my policy"
        assert again.training == plan.training
        assert (again.model, again.data, again.objective) == (plan.model, plan.data, plan.objective)
        kinds = [str(part) for part in plans.read_parts(plan.objective_settings["rewards"])]
        assert sorted(again.objective_settings["rewards"]) == sorted(kinds)


def test_the_form_says_what_is_missing(lab: LabContext) -> None:
    values = plans.write_plan(PLAN)
    with pytest.raises(LabError, match="No dataset of prompts is chosen"):
        plans.read_plan({**values, "dataset": None})
    with pytest.raises(LabError, match="Nothing is rewarded"):
        plans.read_plan({**values, "more_rewards": "0 * length"})
    with pytest.raises(LabError, match="a number from 0 to 100"):
        plans.read_plan({**values, "beta": -1})


def test_an_example_brings_its_prompts_and_an_address_its_reward(lab: LabContext) -> None:
    updates = new.use_example(lab, next(iter(plans.EXAMPLES)))
    assert value_of(updates["dataset"]) == "starter-rude-requests@1"
    assert value_of(updates["reward"]) == "classifier:starter-toxicity"
    assert updates["more_rewards"].splitlines() == plans.TRUTHS
    request: Any = SimpleNamespace(query_params={"reward": "starter-toxicity"})
    opened = page.load_page(lab, {"plan_draft": None}, request)
    assert (value_of(opened["reward"]), opened["weight"]) == ("classifier:starter-toxicity", 1.0)
    request.query_params["reward"] = "toxicity"  # the end of a name is no name
    assert value_of(page.load_page(lab, {"plan_draft": json.dumps({"reward": None})}, request)["reward"]) is None


def test_a_plan_is_taken_to_the_fine_tune_page_whole(lab: LabContext) -> None:
    from pages.finetune import page as finetune

    address = new.finetune_address(plans.write_plan(PLAN))["elsewhere"]
    query = dict([address.partition("?")[2].split("=", 1)])
    request: Any = SimpleNamespace(query_params={"plan": unquote_plus(query["plan"])})
    updates = finetune.load_page(lab, {"plan_draft": None}, request)
    assert updates["objective"] == "ppo"
    assert updates["objective.ppo.max_completion_length"] == 8
    assert updates["training.max_steps"] == 3


def test_a_run_is_listed_with_its_newest_figures_and_drawn_with_its_phases(lab: LabContext, run: int) -> None:
    updates = runs.draw(lab, {"run": run})
    row = next(row for row in updates["run_table"]["rows"] if row["id"] == run)
    points = training.curves(lab, training.show(lab, run))
    assert row["score"] == f"{points['score'][-1][1]:.2f}"
    assert row["kl"].endswith(" nats")
    figure = updates["curves"]["value"]
    titles = [note["text"] for note in figure.layout.annotations]
    assert {
        "Score of completions",
        "Variance explained by the value head",
        "Seconds: writing, rewarding, reading, updating",
    } <= {*titles}
    assert {"writing", "rewarding", "reading", "updating", "upper"} <= {trace.name for trace in figure.data}
    assert ["Reward", "-1 * length; 0 * repetition"] in updates["detail"]["facts"]
    assert runs.on_tick(lab, {"run": run, "run_mark": updates["run_mark"]}) == {}


def test_the_tokens_of_a_completion_are_its_ids_and_text(lab: LabContext, run: int) -> None:
    batch = alignment.read(lab, run, 2)
    folder = models.show(lab, "llama").card.path
    assert folder
    tokenizer = load_tokenizer(folder)
    for index in range(len(batch)):
        figures = alignment.tokens_of(lab, run, batch, index)
        assert list(figures.ids) == batch.ids[index]
        assert {len(values) for values in figures.figures.values()} == {len(figures.ids)}
        assert "".join(figures.texts) == tokenizer.decode(batch.ids[index], skip_special_tokens=False)
        pairs = zip(figures.figures["log p"], figures.figures["log p of the reference"], strict=True)
        assert figures.figures["log-ratio"] == pytest.approx([mine - theirs for mine, theirs in pairs], abs=1e-6)
        assert {"value", "return", "advantage"} <= figures.figures.keys()


def test_the_newest_step_is_opened_and_completions_are_ordered(lab: LabContext, run: int) -> None:
    updates = rollouts.open_newest(lab, chosen(run))
    assert updates["ro.step"]["value"] == updates["ro.step"]["maximum"] == 3
    assert updates["ro.list"]["step"] == 3
    cards = updates["ro.view"]["cards"]
    assert len(cards) == 2  # both completions of the prompt
    assert cards[0]["picked"]
    assert not cards[1]["picked"]
    longest = rollouts.on_order(lab, chosen(run, order="longest", index=5))["ro.list"]["rows"]
    assert [row["tokens"] for row in longest] == sorted((row["tokens"] for row in longest), reverse=True)
    assert longest[0]["picked"]
    cut = rollouts.on_order(lab, chosen(run, cut=True))
    assert all(row["end"] == "cut" for row in cut["ro.list"]["rows"])
    with pytest.raises(LabError, match="There is no order"):
        alignment.listed(alignment.read(lab, run, 1), "by luck")


def test_a_tick_follows_the_newest_step_and_changes_nothing_where_there_is_none(lab: LabContext, run: int) -> None:
    updates = rollouts.on_tick(lab, chosen(run))
    assert updates["ro.list"]["step"] == 3
    values = {**chosen(run, step=2, index=1), "ro.mark": updates["ro.mark"]}
    assert rollouts.on_tick(lab, values) == {}
    stays = rollouts.on_tick(lab, {**values, "ro.mark": "", "ro.follow": False})
    assert stays["ro.step"]["maximum"] == 3
    assert "value" not in stays["ro.step"]
    assert "Choose a run" in rollouts.open_newest(lab, chosen(None))["ro.list"]["note"]


def test_held_out_prompts_are_a_film_over_the_evaluations(lab: LabContext, run: int) -> None:
    updates = rollouts.on_step(lab, chosen(run, kind=EVALUATIONS, step=1, index=2))
    assert [frame["step"] for frame in updates["ro.film"]["frames"]] == [0, 1, 2, 3]
    assert [frame["picked"] for frame in updates["ro.film"]["frames"]] == [False, True, False, False]
    assert updates["ro.index"] == 2
    nearest = rollouts.on_step(lab, chosen(run, kind=EVALUATIONS, step=99, index=2))
    assert nearest["ro.list"]["step"] == 3


def test_colours_are_on_one_scale_and_say_their_unit(lab: LabContext, run: int) -> None:
    batch = alignment.read(lab, run, 3)
    two = alignment.of_prompt(batch, 0)
    figures = [alignment.tokens_of(lab, run, batch, one.index) for one in two]
    value = tokens.cards(3, two, figures, "advantage", 0)
    spans = [span for card in value["cards"] for span in card["tokens"]]
    assert max(much for _, _, much, _ in spans) == tokens.MOST
    for card, one in zip(value["cards"], figures, strict=True):
        for (_, way, much, _), number in zip(card["tokens"], one.figures["advantage"], strict=True):
            assert not much or way == ("up" if number > 0 else "down")
    assert tokens.cards(3, two, figures, "KL", 0)["legend"]["high"].endswith(" nats")
    plain = tokens.cards(3, two, [None, None], "KL", 0)
    assert plain["cards"][0]["tokens"] == [[two[0].text, "", 0, ""]]


@pytest.mark.parametrize(("kind", "step"), [(ROLLOUTS, 1), (EVALUATIONS, 0)])
def test_a_rollout_of_a_policy_that_is_there_is_drawn_again_with_the_same_ids(
    lab: LabContext, run: int, kind: str, step: int
) -> None:
    assert rollouts.on_step(lab, chosen(run, kind=kind, step=step))["ro.redraw"]["visible"]
    again = alignment.redraw(lab, run, step, kind, 3)
    assert (again.model, again.same) == ("llama", True)
    shown = rollouts.redraw(lab, chosen(run, kind=kind, step=step, index=3))["ro.redrawn"]
    assert "all ids are the same" in shown["note"]


def test_the_kept_checkpoint_draws_its_own_evaluation_again_and_others_are_refused(lab: LabContext, run: int) -> None:
    view = training.show(lab, run)
    kept = view.outcome["step"]
    again = alignment.redraw(lab, run, kept, EVALUATIONS, 1)
    assert again.same
    assert again.model == view.model
    other = next(step for step in (1, 2, 3) if step != kept)
    with pytest.raises(LabError, match="is not kept"):
        alignment.redraw(lab, run, other, EVALUATIONS, 1)
    assert not rollouts.on_step(lab, chosen(run, kind=EVALUATIONS, step=other))["ro.redraw"]["visible"]


def test_rollouts_are_exported_whole(lab: LabContext, run: int, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in rollouts.export_all(lab, chosen(run)).splitlines()]
    assert len(lines) == 3 * 8
    batch = alignment.read(lab, run, 1)
    assert lines[0]["ids"] == batch.ids[0]
    assert lines[0]["tokens"]["kl"] == batch.tokens_of("kl", 0).tolist()
    assert lines[0]["reward: length"] == batch.parts[0, 0]
    table = list(csv.DictReader(io.StringIO(rollouts.export(lab, "csv", chosen(run, step=2)))))
    assert {row["step"] for row in table} == {"2"}
    assert len(table) == 8
    from genai_lab.api import Lab

    path = Lab(lab).runs.get(run).export_rollouts(tmp_path / "held-out.jsonl", held_out=True)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()][::6] == [0, 1, 2, 3]
    with pytest.raises(LabError, match="nothing to write"):
        rollouts.export(lab, "csv", chosen(None))


def test_a_reward_model_leads_to_a_policy_that_learns_from_it(lab: LabContext, run: int) -> None:
    view = training.show(lab, run)
    assert view.model
    model = models.show(lab, view.model)
    assert run_panels.detail_value(lab, view, model)["align"] == ""
    rewarding = replace(view, plan=replace(view.plan, objective="reward", objective_settings={}))
    detail = run_panels.detail_value(lab, rewarding, model)
    assert (detail["align"], detail["align_address"]) == (view.model, view.model)
    assert run_panels.detail_value(lab, rewarding, None)["align"] == ""  # not before it is there
