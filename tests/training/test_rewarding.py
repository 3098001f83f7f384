"""Reward models of the lab: pairs kept apart by prompt, a run with its report, scores, studies, the command."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genai_lab import cli
from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError, ModelError
from genai_lab.feedback.pairs import format_pair
from genai_lab.metrics import measure, settings_of
from genai_lab.models import Prompt
from genai_lab.services import datasets, generation, models, rewards, training
from genai_lab.services.scorers import scorer_for
from genai_lab.services.training import estimates, resolve, reward_studies
from genai_lab.services.training.batch_preview import first_batch
from genai_lab.services.training.resolution import VersionSource
from genai_lab.training import DatasetSpec, Training, TrainingPlan, reward_report
from genai_lab.training.objectives.reward import Settings
from genai_lab.training.preference_data import Division, Vote, check_pairs, divide_votes, read_votes, votes_to_learn
from tests.tiny import open_lab
from tests.training.models import WORDS, tiny

Done = Callable[[int], Any]
TRAINING = Training(
    max_steps=12, per_device_batch_size=4, max_length=64, seed=3, validation_rows=8, eval_steps=6, learning_rate=3e-3
)
PLAN = TrainingPlan("roberta", (DatasetSpec("votes"),), "reward", "full", training=TRAINING)
ANNOTATORS = ("ann", "bob", "cid")


def rows() -> list[dict[str, Any]]:
    """Three votes on each of 40 pairs, two a prompt; the polite side is chosen, but cid errs every other time."""
    results = []
    for n in range(40):
        a, b = WORDS[n % 6], WORDS[6 + n % 7]
        for index, name in enumerate(ANNOTATORS):
            good, bad = f"{a} tea please {n}", f"{b} no {n}"
            selection, rejected = (bad, good) if name == "cid" and n % 2 else (good, bad)
            criterion = ("tone", "facts")[n % 2]
            options = {"weight": 1 + index, "margin": 0.5 * index, "annotator": name, "criterion": criterion}
            results.append({"prompt": f"Say {a} {n // 2}", "chosen": selection, "rejected": rejected, **options})
    return results


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabContext]:
    folder = tmp_path_factory.mktemp("models")
    folders = {kind: tiny(folder / kind, kind) for kind in ("llama", "roberta")}
    opened_lab = open_lab(tmp_path_factory.mktemp("home"), **folders)
    datasets.import_rows(opened_lab, rows(), "votes", {"kind": "test"}, split=SplitPlan(by="none", only="train"))
    plan = SplitPlan(by="ratio", ratios=(0.6, 0.2, 0.2), seed=1)
    datasets.import_rows(opened_lab, rows(), "crossing", {"kind": "test"}, split=plan)
    yield opened_lab
    opened_lab.close()


def source(lab: LabContext, name: str) -> VersionSource:
    return VersionSource(lab, datasets.show(lab, name))


def sides(lab: LabContext, plan: TrainingPlan) -> Division:
    return divide_votes(source(lab, plan.data[0].dataset), plan)


@pytest.mark.parametrize("name", ["votes", "crossing"])
def test_no_prompt_is_on_two_sides(lab: LabContext, name: str) -> None:
    result = sides(lab, replace(PLAN, data=(DatasetSpec(name),)))
    prompts = [{item.prompt for item in part} for part in (result.train, result.validation, result.held)]
    assert all(prompts)
    assert not prompts[0] & prompts[1]
    assert not prompts[0] & prompts[2]
    assert not prompts[1] & prompts[2]
    assert sides(lab, replace(PLAN, data=(DatasetSpec(name),))) == result
    if name == "votes":
        assert (len(result.held), result.moved) == (24, 0)  # a fifth of the prompts
        other = sides(lab, replace(PLAN, training=replace(TRAINING, seed=4)))
        assert {item.prompt for item in other.held} != prompts[2]
    else:
        assert result.moved > 0


def test_votes_are_kept_joined_left_out_and_turned(lab: LabContext) -> None:
    votes, train = source(lab, "votes"), sides(lab, PLAN).train

    def learned(**settings: Any) -> list[Vote]:
        return votes_to_learn(votes, PLAN, Settings(**settings), train)

    assert learned() == list(train)
    joined = learned(votes="majority")
    assert len(joined) == len(train) // 3 - sum(item.annotator == "cid" and " no " in item.chosen for item in train)
    # ann and bob together weigh as much as cid alone: where cid disagrees, nothing is told.
    report = {(item.prompt, item.criterion) for item in joined}
    assert all(criterion == "tone" for _, criterion in report)
    assert {item.annotator for item in learned(left_out="cid")} == {"ann", "bob"}
    turned = [item for item in learned(flipped="ann") if item.annotator == "ann"]
    assert [(item.chosen, item.rejected) for item in turned] == [
        (item.rejected, item.chosen) for item in train if item.annotator == "ann"
    ]
    small, large = ({item.prompt for item in learned(share=share)} for share in (0.25, 0.5))
    assert small < large < {item.prompt for item in train}
    with pytest.raises(LabError, match=r"no annotator called 'dan'\. It has: ann, bob, cid"):
        learned(left_out="dan")


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "weight": (
        {"weight": "heavy"},
        "Row 3 of bad-weight@1 has the weight 'heavy', which must be a number of at least 0",
    ),
    "negative": ({"weight": -1}, "Row 3 of bad-negative@1 has the weight '-1'"),
    "margin": ({"margin": "wide"}, "the margin 'wide', which must be a number"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_number_is_named_with_its_row(lab: LabContext, case: str) -> None:
    options, message = BAD[case]
    result = [{**row, **(options if n == 2 else {})} for n, row in enumerate(rows())]
    datasets.import_rows(lab, result, f"bad-{case}", {"kind": "test"}, split=SplitPlan(by="none", only="train"))
    with pytest.raises(LabError, match=message):
        sides(lab, replace(PLAN, data=(DatasetSpec(f"bad-{case}"),)))


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "templates": ({"data": (DatasetSpec("votes", ("plain",)),)}, "leave the templates empty"),
    "virtual tokens": ({"model": "llama", "method": "p_tuning"}, "cannot be merged into a reward model"),
    "houlsby": ({"model": "llama", "method": "houlsby"}, "cannot be merged into a reward model"),
    "dpo of an encoder": ({"objective": "dpo"}, "for decoder-only models"),
    "no such setting": ({"objective_settings": {"beta": 1.0}}, "Reward model has no setting 'beta'"),
    "share": ({"objective_settings": {"share": 2.0}}, "Share of Reward model is 2"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_plan_that_cannot_work_is_refused_in_one_sentence(lab: LabContext, case: str) -> None:
    options, message = REFUSED[case]
    with pytest.raises(LabError, match=message):
        resolve(lab, replace(PLAN, **options))


def test_a_study_of_annotators_needs_two_and_begins_nothing_without(lab: LabContext) -> None:
    before = training.find(lab)
    for name, who in (("joined", {"annotator": "majority"}), ("nobody", {})):
        some = [{part: row[part] for part in ("prompt", "chosen", "rejected")} | who for row in rows()]
        datasets.import_rows(lab, some, name, {"kind": "test"}, split=SplitPlan(by="none", only="train"))
        with pytest.raises(LabError, match=r"name (1 annotator|no annotators), but it takes two to leave one out"):
            reward_studies.label_to_curve(lab, replace(PLAN, data=(DatasetSpec(name),)))
    with pytest.raises(LabError, match=r"no annotator 'dan'\. They have: ann, bob, cid"):
        reward_studies.label_to_curve(lab, PLAN, ["dan"])
    assert training.find(lab) == before


def test_rows_without_pairs_are_refused(lab: LabContext) -> None:
    some = [{"prompt": row["prompt"], "chosen": row["chosen"]} for row in rows()]
    datasets.import_rows(lab, some, "half", {"kind": "test"}, split=SplitPlan(by="none", only="train"))
    with pytest.raises(LabError, match="no column for the role rejected, which preferences need"):
        resolve(lab, replace(PLAN, data=(DatasetSpec("half"),)))


@pytest.mark.parametrize("form", ["implicit", "chat", "implicit chat"])
def test_pairs_in_every_published_form_are_the_same_votes(lab: LabContext, form: str) -> None:
    names = ("prompt", "chosen", "rejected")
    spaced = [{name: f"{row[name]} " if name == "prompt" else row[name] for name in names} for row in rows()]
    result = [format_pair(item, form) for item in spaced]
    stored = datasets.import_rows(lab, result, "formed", {"kind": "test"}, split=SplitPlan(by="none", only="train"))
    check_pairs(source(lab, stored.name))
    results = read_votes(source(lab, stored.name), source(lab, stored.name).examples("train", 1000))
    report = sorted((item.prompt.strip(), item.chosen, item.rejected) for item in results)
    assert report == sorted((row["prompt"], row["chosen"], row["rejected"]) for row in rows())


def test_pairs_that_share_no_prompt_are_refused(lab: LabContext) -> None:
    some = [{"chosen": f"yes {n}", "rejected": f"no {n}"} for n in range(20)]
    datasets.import_rows(lab, some, "bare", {"kind": "test"}, split=SplitPlan(by="none", only="train"))
    with pytest.raises(LabError, match="do not begin with the same prompt"):
        divide_votes(source(lab, "bare"), PLAN)


@pytest.mark.parametrize(("base", "objective"), [("roberta", "reward"), ("llama", "dpo")])
def test_the_first_batch_shows_both_sides(lab: LabContext, base: str, objective: str) -> None:
    plan = replace(PLAN, model=base, objective=objective)
    result = first_batch(lab, plan)
    selection, rejected = ("".join(text for text, kind in side if kind == "trained") for side in
                        (result.rows[0].tokens, result.rows[0].target))  # fmt: skip
    assert {"tea", "no"} <= {word for side in (selection, rejected) for word in ("tea", "no") if word in side}
    assert (result.trained_tokens > 0) == (objective == "dpo")
    results = estimates.check(lab, resolve(lab, plan))
    assert results["memory"]["peak"] > 0


def test_a_run_becomes_a_reward_model_with_its_report(lab: LabContext, finish_job: Done) -> None:
    started_run = training.start(lab, PLAN, name="judge")
    reserved = models.show(lab, "judge").card
    assert (reserved.role, reserved.family) == ("reward", "classifier")
    with pytest.raises(LabError, match="judge is training"):
        rewards.score(lab, "judge", ["a"], ["b"])
    finish_job(started_run.job_id)
    view = training.show(lab, started_run.run_id)
    card = models.show(lab, "judge").card
    assert (card.role, card.family, card.source.backend) == ("reward", "classifier", "local")
    assert {"validation reward margin", "training accuracy", "training rejected reward"} <= set(
        training.curves(lab, view)
    )
    report = view.report
    json.dumps(report, allow_nan=False)
    assert (report["n"], report["training_pairs"]) == (24, len(sides(lab, PLAN).train))
    assert set(report["by_annotator"]) == set(ANNOTATORS)
    assert set(report["by_criterion"]) == {"tone", "facts"}
    assert set(report["baselines"]) == {"longer completion wins", "bag of words", "random"}
    held_names = sides(lab, PLAN).held
    result = [rewards.score(lab, "judge", [item.prompt] * 2, [item.chosen, item.rejected]) for item in held_names]
    assert [a - b for a, b in result] == pytest.approx([margin for *_, margin in report["pairs"]], abs=1e-4)
    ranked = rewards.rank(lab, "judge", held_names[0].prompt, ["red tea please", "dog no", "red tea please"])
    assert [item for _, item in ranked] == sorted((item for _, item in ranked), reverse=True)
    assert dict(ranked)[0] == pytest.approx(dict(ranked)[2], abs=1e-6)
    settings = settings_of("reward", {"model": "judge"})
    text = measure("reward", ["red tea"], [[]], settings, model=scorer_for(lab, "reward", settings, ["Say red"]))
    assert text.figures["reward"].value == pytest.approx(rewards.score(lab, "judge", ["Say red"], ["red tea"])[0])
    with pytest.raises(LabError, match="roberta is not a reward model"):
        rewards.score(lab, "roberta", ["a"], ["b"])
    with pytest.raises(ModelError, match="1 prompts and 2 completions"):
        rewards.score(lab, "judge", ["a"], ["b", "c"])


def test_lora_on_a_decoder_leaves_one_whole_folder(lab: LabContext, finish_job: Done) -> None:
    plan = replace(PLAN, model="llama", method="lora", training=replace(TRAINING, max_steps=2, eval_steps=2))
    started_run = training.start(lab, plan, name="judge of llama")
    finish_job(started_run.job_id)
    card = models.show(lab, "judge of llama").card
    assert card.path is not None
    assert (card.role, (card.path / "config.json").is_file()) == ("reward", True)
    assert len(rewards.score(lab, "judge of llama", ["Say red"], ["tea"])) == 1


def test_studies_tell_what_pairs_and_annotators_give(lab: LabContext, finish_job: Done) -> None:
    short = replace(PLAN, training=replace(TRAINING, max_steps=2, eval_steps=2))
    study = reward_studies.learning_curve(lab, short, (0.5, 1.0))
    for point in reward_studies.curve(lab, study):
        assert point.value is None
        finish_job(point.run.job.id if point.run.job else 0)
    half, full = reward_studies.curve(lab, study)
    assert (half.share, full.share) == (0.5, 1.0)
    assert (half.pairs or 0) < (full.pairs or 0)
    assert half.run.report["n"] == full.run.report["n"]
    study = reward_studies.label_to_curve(lab, short, ["cid"], "flip")
    from genai_lab.services.training import studies

    for run in studies.show(lab, study).runs:
        finish_job(run.job.id if run.job else 0)
    [result] = reward_studies.influences(lab, study)
    assert (result.annotator, result.how) == ("cid", "flip")
    assert result.low <= result.difference <= result.high
    assert result.difference == pytest.approx(result.after - result.before, abs=1e-9)


def held_out(n: int = 120) -> list[Vote]:
    return [Vote(k, f"p{k // 2}", f"kind word {k}" + " x" * (k % 5), f"rude word {k}" + " x" * 2) for k in range(n)]


def test_the_report_tells_chance_and_what_simple_baselines_do() -> None:
    held_names, rng = held_out(), np.random.default_rng(0)
    noise = rng.normal(size=len(held_names))
    poor = reward_report.measure_scorer(held_names, held_names, noise, rng.permutation(noise))
    assert any("cannot be distinguished from chance" in item for item in poor["sentences"])
    assert any("bag of words, is better" in item and "is significant" in item for item in poor["sentences"])
    assert poor["baselines"]["bag of words"]["value"] == 1.0
    good = reward_report.measure_scorer(held_names, held_names, noise + 9, noise)
    assert (good["accuracy"]["value"], good["sentences"], good["worst"]) == (1.0, [], [])
    assert good["accuracy"]["low"] < 1
    json.dumps(good, allow_nan=False)


def test_calibration_knows_what_is_sure_of_too_much() -> None:
    rng = np.random.default_rng(1)
    margins = rng.normal(0, 2, 20_000)
    signs = np.where(rng.random(20_000) < 1 / (1 + np.exp(-np.abs(margins))), 1, -1) * np.abs(margins)
    assert reward_report.calibration(signs)["ece"] < 0.02
    assert reward_report.calibration(5 * signs)["ece"] > 0.1
    assert sum(count for *_, count in reward_report.calibration(signs)["bins"]) == 20_000


def test_the_command_scores_lines_and_runs_and_names_what_is_wrong(
    lab: LabContext,
    finish_job: Done,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started_run = training.start(
        lab, replace(PLAN, training=replace(TRAINING, max_steps=1, eval_steps=1)), name="quick"
    )
    finish_job(started_run.job_id)
    monkeypatch.setattr("genai_lab.bootstrap.open_lab", lambda config: lab)
    monkeypatch.setattr(LabContext, "close", lambda self: None)
    path = tmp_path / "rows.jsonl"
    path.write_text('{"q": "Say red", "a": "tea"}\n\n{"q": "Say red", "a": "no"}\n')
    arguments = ["reward", "score", "--model", "quick", "--data", str(path), "--prompt", "q"]
    assert cli.main([*arguments, "--completion", "a", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["scores"] == pytest.approx(rewards.score(lab, "quick", ["Say red"] * 2, ["tea", "no"]))
    drawing = Sampling(max_new_tokens=4, num_return_sequences=3, temperature=1.5)
    run = generation.generate(lab, "llama", Prompt("Say red"), drawing)
    assert cli.main(["reward", "score", "--model", "quick", "--run", str(run.id), "--json"]) == 0
    sampled = json.loads(capsys.readouterr().out)["scores"]
    assert sorted(item["text"] for item in sampled) == sorted(completion.text for completion in run.completions)
    assert sampled == sorted(sampled, key=lambda item: -item["reward"])
    assert sampled[0]["reward"] == pytest.approx(rewards.score(lab, "quick", ["Say red"], [sampled[0]["text"]])[0])
    assert cli.main(["reward", "score", "--model", "quick", "--run", "999"]) == 2
    assert "Run 999 has no completions to score" in capsys.readouterr().err
    assert cli.main(arguments) == 2
    assert "Line 1 of" in capsys.readouterr().err
    assert cli.main(["reward", "train", "--dataset", "votes@1", "--base", "roberta", "--steps", "3", "--json"]) == 0
    run = json.loads(capsys.readouterr().out)["run_id"]
    assert training.show(lab, run).plan.training.max_steps == 3
    training.cancel(lab, run)


@pytest.mark.parametrize("objective", ["reward", "dpo"])
def test_the_page_s_form_and_charts_take_pairs(lab: LabContext, objective: str) -> None:
    from pages.finetune import charts, choices, form, report
    from pages.finetune.run_panels import detail_value

    plan = replace(PLAN, model="llama", objective=objective, objective_settings={"share": 0.5, "left_out": "cid"})
    assert form.read_plan(form.write_plan(plan, "named")) == (plan, "named")
    updates = choices.on_choice(lab, {"model": "llama", "objective": objective, "method": "p_tuning"})
    offered = [name for _, name in updates["method"]["choices"]]
    assert ("p_tuning" in offered) == (objective == "dpo")
    assert "lora" in offered
    started_run = training.start(lab, plan)
    view = training.show(lab, started_run.run_id)
    names = ["training loss", "validation accuracy", "training reward margin", "validation chosen reward"]
    curves: dict[str, list[tuple[int, float]]] = {name: [(0, 0.5), (1, 0.6)] for name in names}
    chart = charts.curves([(view, curves)])
    assert len(chart.data) == len(names) + 1  # the accuracy of the base is a line
    measured = reward_report.measure_scorer(held_out(), held_out(), np.ones(120), np.zeros(120))
    panels = report.updates(measured)
    table, plot = panels["report"], panels["report_plot"]
    assert (table["rows"][0]["value"], table["rows"][0]["n"]) == ("1.000", "120")
    assert plot["value"] is not None
    assert detail_value(lab, replace(view, report=measured), None)["facts"]
    training.cancel(lab, started_run.run_id)


@pytest.mark.parametrize(
    ("rows", "parameters", "steps"),
    [(866, 4_000_000, 324), (80, 4_000_000, 100), (866, 135_000_000, 54), (80, 135_000_000, 20), (10**6, None, 600)],
)
def test_a_default_run_is_as_long_as_its_base_needs(rows: int, parameters: int | None, steps: int) -> None:
    assert reward_studies.default_steps(rows, parameters) == steps
