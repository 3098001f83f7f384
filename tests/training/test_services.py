"""Runs of the lab: begun with their lineage, made into models, named, cloned, merged, exported."""

import zipfile
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from genai_lab.data import SplitPlan
from genai_lab.decoding import Sampling
from genai_lab.errors import DuplicateName, LabError
from genai_lab.lab import Lab
from genai_lab.models import Prompt
from genai_lab.services import datasets, evaluation, generation, jobs, models, training
from genai_lab.services.training import estimating, first_batch, preparing, results, studies
from genai_lab.services.training.studies import Held
from genai_lab.training import Part, Plan, Training
from genai_lab.training.loading import load_tokenizer

Done = Callable[[int], Any]
PAIRS = Part("pairs", ("plain", "answer-question"))
TRAINING = Training(steps=4, batch=4, length=64, target_length=24, seed=3, validation_rows=6, evaluate_every=2)
LORA = Plan("t5", (PAIRS,), method="lora", training=TRAINING)
GREEDY = Sampling(greedy=True, max_new_tokens=6)


def test_a_run_becomes_a_model_that_knows_everything_it_came_from(lab: Lab, done: Done) -> None:
    begun = training.start(lab, LORA, name="taught", title="First", tags=["small", " small "])
    assert models.show(lab, "taught").status == "training"
    with pytest.raises(LabError, match="taught is training"):
        models.load(lab, "taught")
    done(begun.job_id)
    view = training.show(lab, begun.run_id)
    assert (view.status, view.model, view.title) == ("finished", "taught", "First")
    roles = {role: name for role, name, _ in view.inputs}
    assert roles == {
        "base": "t5", "dataset 1": "pairs@1", "template 1.1": "plain@1", "template 1.2": "answer-question@1"
    }  # fmt: skip
    assert all(hash for _, _, hash in view.inputs)
    assert view.plan.data[0].dataset == "pairs@1"
    assert view.outcome["steps"] == 4
    assert view.outcome["foreseen"] > 0
    made = models.show(lab, "taught")
    assert (made.status, made.card.source.base, made.made_by_run) == ("ready", "t5", begun.run_id)
    run = generation.generate(lab, "taught", Prompt("red and two", mode="text-to-text"), GREEDY)
    assert run.status == "finished"
    steps = {one["step"] for one in training.samples(lab, begun.run_id)}
    assert steps == {0, 2, 4}
    assert set(training.curves(lab, view)) >= {"training loss", "validation loss", "learning rate", "gradient norm"}
    assert made.card.path is not None
    card = (made.card.path / "README.md").read_text()
    assert "pairs@1" in card
    assert "Hu et al., 2022" in card
    with zipfile.ZipFile(training.export_file(lab, begun.run_id)) as kept:
        assert any(name.endswith("adapter_model.safetensors") for name in kept.namelist())


def test_an_adapter_is_merged_into_a_model_that_says_the_same(lab: Lab, done: Done) -> None:
    begun = training.start(lab, LORA, name="for merging")
    done(begun.job_id)
    made = training.merge(lab, "for merging", "merged")
    done(made.job_id)
    view = models.show(lab, "merged")
    assert (view.status, view.card.source.backend) == ("ready", "local")
    texts = [
        generation.generate(lab, name, Prompt("red and two", mode="text-to-text"), GREEDY).completions[0].text
        for name in ("for merging", "merged")
    ]
    assert texts[0] == texts[1]
    with pytest.raises(LabError, match="no adapter"):
        training.merge(lab, "merged")


def test_a_run_that_was_ended_can_be_kept_from_its_best_checkpoint_or_go_on(
    lab: Lab, done: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genai_lab.training.loop import Loop

    begun = training.start(lab, replace(LORA, method="full"), name="ended")
    sound = Loop.training_step

    def ending(self: Any, *values: Any) -> Any:
        if self.state.global_step == 3:
            raise LabError("ended here")
        return sound(self, *values)

    monkeypatch.setattr(Loop, "training_step", ending)
    with pytest.raises(LabError, match="ended here"):
        done(begun.job_id)
    assert models.show(lab, "ended").status == "failed"
    done(training.keep(lab, begun.run_id))
    assert models.show(lab, "ended").status == "ready"
    outcome = training.show(lab, begun.run_id).outcome
    assert (outcome["step"], outcome["best_step"], outcome["steps"]) == (2, 2, 2)
    assert outcome["best_loss"] > 0
    assert outcome["bytes"] > 0
    assert outcome["rows"] > 0
    with pytest.raises(LabError, match="has made ended already"):
        training.resume(lab, begun.run_id)


def test_two_launches_at_once_make_two_models(lab: Lab) -> None:
    first, second = (training.start(lab, LORA) for _ in range(2))
    assert first.model != second.model
    with pytest.raises(DuplicateName):
        training.start(lab, LORA, name=first.model)
    for one in (first, second):
        training.cancel(lab, one.run_id)


def test_runs_are_named_tagged_and_told_apart(lab: Lab) -> None:
    begun = [training.start(lab, replace(LORA, method=name)) for name in ("lora", "ia3")]
    view = training.rename(lab, begun[0].run_id, "A better title", ["one", "two", "one", ""])
    assert (view.title, view.tags) == ("A better title", ("one", "two"))
    found = training.differences([training.show(lab, one.run_id) for one in begun])
    assert found == [("method", ["lora", "ia3"])]
    for one in begun:
        training.cancel(lab, one.run_id)


def test_a_plan_survives_yaml() -> None:
    parts = (PAIRS, Part("other", ("plain",), 2.5))
    plan = Plan(
        "t5", parts, method="lora", method_settings={"rank": 4}, mixing="temperature", cap=0,
        training=Training(learning_rate=1e-3, epochs=1.5, patience=2),
    )  # fmt: skip
    assert Plan.from_yaml(plan.to_yaml()) == plan


BAD_PLANS: dict[str, tuple[str, str]] = {
    "no yaml": ("model: [", "no YAML in line"),
    "a list": ("- 1", "must be a mapping"),
    "no model": ("data: [pairs]", "lacks the field 'model'"),
    "unknown field": ("{model: t5, data: [pairs], colour: red}", "Colour is 'red', but it must be left out"),
    "unknown setting": ("{model: t5, data: [pairs], training: {pace: 3}}", "Pace is 3"),
    "steps are text": ("{model: t5, data: [pairs], training: {steps: many}}", "Steps is 'many'"),
    "rate too high": ("{model: t5, data: [pairs], training: {learning_rate: 1000.0}}", "from 1e-08 to 10"),
    "rate is nan": ("{model: t5, data: [pairs], training: {learning_rate: .nan}}", "Learning rate is nan"),
    "mixing": ("{model: t5, data: [pairs], mixing: soup}", "one of size, temperature, weights"),
    "weight": ("{model: t5, data: [{dataset: pairs, weight: -1}]}", "Weight is -1"),
    "settings are a list": ("{model: t5, data: [pairs], training: [1]}", "a mapping of settings"),
    "one process sharded": ("{model: t5, data: [pairs], training: {sharding: weights}}", "at least 2 processes"),
}


@pytest.mark.parametrize("case", BAD_PLANS)
def test_a_bad_plan_is_one_sentence(case: str) -> None:
    text, words = BAD_PLANS[case]
    with pytest.raises(LabError, match=words) as caught:
        Plan.from_yaml(text)
    assert "\n" not in str(caught.value)


BAD_RUNS: dict[str, tuple[dict[str, Any], str]] = {
    "no such model": ({"model": "nobody"}, "no model called 'nobody'"),
    "no such dataset": ({"data": (Part("nothing"),)}, "no dataset 'nothing'"),
    "no such template": ({"data": (Part("pairs", ("nothing",)),)}, "nothing"),
    "no template": ({"data": (Part("pairs"),)}, "has no template; choose at least one"),
    "no such split": ({"split": "holdout"}, "has no rows for holdout"),
    "wrong objective": ({"objective": "causal"}, "for decoder-only models, and t5 is encoder-decoder"),
    "wrong method": ({"model": "llama", "method": "biases"}, "finds nothing to train in this model"),
    "unknown setting": ({"method_settings": {"depth": 3}}, "LoRA has no such setting"),
    "setting out of range": ({"method_settings": {"rank": 0}}, "Rank is 0"),
    "longer than the context": ({"training": replace(TRAINING, length=5000)}, "Length is 5000"),
    "all rows too long": ({"training": replace(TRAINING, length=8)}, "All rows are longer than 8 tokens"),
    "float16 on a CPU": ({"training": replace(TRAINING, precision="float16")}, "where there is no GPU"),
    "quantised on a CPU": ({"method": "qlora"}, "needs a CUDA GPU"),
    "more processes than cores": (
        {"training": replace(TRAINING, processes=64)},
        "Processes is 64, .* as there are cores",
    ),
    "sharded by whole weights": (
        {"method": "adalora", "training": replace(TRAINING, processes=2, sharding="weights")},
        "Sharding is 'weights', but it must be none for AdaLoRA",
    ),
    "a prefix beside the context": (
        {"method": "prefix_tuning", "training": replace(TRAINING, length=1020)},
        "beside 20 virtual tokens",
    ),
    "more memory than there is": ({"training": replace(TRAINING, batch=4096, length=512)}, "of memory"),
}


@pytest.mark.parametrize("case", BAD_RUNS)
def test_a_run_that_cannot_work_is_refused_in_one_sentence(
    lab: Lab, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    more, words = BAD_RUNS[case]
    monkeypatch.setattr(preparing, "cores", lambda: 2)
    if case == "more memory than there is":
        monkeypatch.setattr("genai_lab.services.training.estimating.machine_memory", lambda: 50_000_000)
    before = len(training.find(lab))
    with pytest.raises(LabError, match=words) as caught:
        training.start(lab, replace(LORA, **more))
    assert "\n" not in str(caught.value)
    assert len(training.find(lab)) == before


def test_rows_without_what_is_learned_are_refused_or_counted(lab: Lab) -> None:
    from genai_lab.services import datasets

    def keep(made: list[dict[str, str]], name: str, **roles: list[str]) -> None:
        datasets.import_rows(lab, made, name, {"kind": "test"}, mapping=roles, split=SplitPlan(only="train"))

    rows = [{"ask": f"row {n}", "answer": "" if n % 2 else "x"} for n in range(20)]
    both = {"input": ["ask"], "reference": ["answer"]}
    keep(rows, "half empty", **both)
    plan = replace(LORA, data=(Part("half empty", ("plain",)),), split="train")
    found = preparing.known(lab, plan)
    made = preparing.prepare(lab, plan, found, load_tokenizer(preparing.folder_of(found)))
    assert made.left_out > 0
    assert made.rows + len(made.validation) <= 20
    keep([{"ask": "a", "answer": ""} for _ in range(9)], "empty", **both)
    with pytest.raises(LabError, match=r"None of the .* rows of empty@1 has anything to learn"):
        training.start(lab, replace(plan, data=(Part("empty", ("plain",)),)))
    keep(rows[:2], "tiny", **both)
    with pytest.raises(LabError, match="has 2 rows for train; training needs 4"):
        training.start(lab, replace(plan, data=(Part("tiny", ("plain",)),)))
    keep(rows, "asked only", input=["ask"])
    with pytest.raises(LabError, match="no column for the role reference"):
        training.start(lab, replace(plan, data=(Part("asked only", ("plain",)),)))
    one = [{"ask": f"row {n}", "kind": "same"} for n in range(9)]
    keep(one, "one class", input=["ask"], label=["kind"])
    with pytest.raises(LabError, match="All rows have one class"):
        training.start(lab, Plan("roberta", (Part("one class"),), "classification", "full", training=TRAINING))


def test_a_base_that_was_archived_or_is_gone_is_told(lab: Lab) -> None:
    models.archive(lab, "llama")
    with pytest.raises(LabError, match="llama is archived: restore it"):
        training.start(lab, replace(LORA, model="llama"))
    models.restore(lab, "llama")


def test_the_first_batch_shows_what_is_learned(lab: Lab) -> None:
    shown = first_batch.first_batch(lab, LORA)
    assert len(shown.rows) == 4
    assert all({kind for _, kind in row.target} == {"trained"} for row in shown.rows)
    assert all({kind for _, kind in row.tokens} <= {"read", "padded"} for row in shown.rows)
    line = first_batch.first_batch(lab, replace(LORA, model="llama"))
    learned = ["".join(text for text, kind in row.tokens if kind == "trained") for row in line.rows]
    assert [text.replace(" ", "") for text in learned] == [row.label.replace(" ", "") for row in line.rows]
    masked = Plan("roberta", (Part("pairs"),), "masked", "full", training=TRAINING)
    kinds = {kind for row in first_batch.first_batch(lab, masked).rows for _, kind in row.tokens}
    assert "masked" in kinds
    spans = first_batch.first_batch(lab, replace(LORA, data=(Part("pairs"),), objective="spans", method="full"))
    assert all(any(kind == "corrupted" for _, kind in row.tokens) for row in spans.rows)


def test_parts_are_mixed_by_size_temperature_or_weight(lab: Lab) -> None:
    from genai_lab.training.batches import order, rates

    parts = (Part("a", weight=1), Part("b", weight=3))
    plan = Plan("t5", parts, cap=0)
    assert rates(plan, [300, 100]) == pytest.approx([0.75, 0.25])
    assert rates(replace(plan, cap=100), [300, 100]) == pytest.approx([0.5, 0.5])
    assert rates(replace(plan, mixing="temperature", temperature=2.0), [400, 100]) == pytest.approx([2 / 3, 1 / 3])
    assert rates(replace(plan, mixing="weights"), [300, 100]) == pytest.approx([0.25, 0.75])
    drawn = list(islice(order([(3,), (5,)], [0.5, 0.5], seed=1), 400))
    counts = [sum(part == n for part, _ in drawn) for n in (0, 1)]
    assert min(counts) > 150
    first = [item for part, item in drawn if part == 1][:5]
    assert sorted(first) == [0, 1, 2, 3, 4]


def test_parts_are_mixed_by_the_rows_that_they_have_and_not_by_those_that_a_run_needs(lab: Lab) -> None:
    from genai_lab.training.batches import training_draws

    rows = [{"ask": f"n {n}", "answer": f"x {n}"} for n in range(300)]
    roles = {"input": ["ask"], "reference": ["answer"]}
    for name, count in (("large", 300), ("small", 100)):
        datasets.import_rows(lab, rows[:count], name, {"kind": "test"}, mapping=roles, split=SplitPlan(only="train"))
    plan = replace(LORA, data=(Part("large", ("plain",)), Part("small", ("plain", "answer-question"))))
    found = preparing.known(lab, plan)
    made = preparing.prepare(lab, plan, found, load_tokenizer(preparing.folder_of(found)))
    assert made.sizes == (300, 100)
    assert [len(one) for one in made.train] == [16, 16]
    draws = training_draws(
        plan, made.train, 1000, preparing.OBJECTIVES.get("instruction"), None, None, "encoder-decoder", made.turns,
        made.sizes,
    )  # fmt: skip
    assert sum(part == 0 for part, _ in draws.places) / 4000 == pytest.approx(0.75, abs=0.03)


def test_passes_put_each_row_into_one_template_after_the_other(lab: Lab) -> None:
    from genai_lab.training.batches import order

    plan = replace(LORA, training=replace(TRAINING, epochs=3.0))
    found = preparing.known(lab, plan)
    made = preparing.prepare(lab, plan, found, load_tokenizer(preparing.folder_of(found)))
    assert made.turns == ((36, 36),)
    assert made.steps == 3 * 36 / 4
    drawn = [item for _, item in islice(order(made.turns, [1.0], seed=0), 108)]
    assert [sorted(drawn[start : start + 36]) for start in (0, 36, 72)] == [
        list(range(36)), list(range(36, 72)), list(range(36))
    ]  # fmt: skip
    for first, second in zip(made.train[0][:36], made.train[0][36:], strict=True):
        assert first.target == second.target
        assert first.ids != second.ids


def test_a_run_of_ten_million_steps_draws_what_is_looked_at(lab: Lab) -> None:
    long, short = (replace(LORA, training=replace(TRAINING, steps=steps)) for steps in (10_000_000, 1000))
    assert first_batch.first_batch(lab, long).rows == first_batch.first_batch(lab, short).rows


def test_draws_are_the_same_in_whatever_order_they_are_looked_at() -> None:
    from genai_lab.training.batches import WINDOW, Places, order

    places = Places(lambda: islice(order([(50, 50), (9,)], [0.5, 0.5], seed=4), 3 * WINDOW), 3 * WINDOW)
    straight = list(places)
    assert len(straight) == len(places) == 3 * WINDOW
    for place in (2 * WINDOW, 5, WINDOW - 1, WINDOW, 3 * WINDOW - 1):
        assert places[place] == straight[place]
    assert places[WINDOW - 2 : WINDOW + 2] == straight[WINDOW - 2 : WINDOW + 2]


def test_memory_is_reckoned_for_every_process_of_the_cpu(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "cores", lambda: 2)
    two = replace(LORA, training=replace(TRAINING, processes=2))
    made = estimating.estimate(lab, two, preparing.known(lab, two))
    assert made.peak == 2 * made.memory.peak
    monkeypatch.setattr(estimating, "machine_memory", lambda: made.peak - 1)
    with pytest.raises(LabError, match="of memory for its 2 processes"):
        training.start(lab, two)


def test_a_sweep_changes_what_it_names_and_nothing_else(lab: Lab) -> None:
    study = studies.sweep(lab, LORA, {"training.learning_rate": [1e-3, 1e-2], "method_settings.rank": [2, 4]})
    view = studies.show(lab, study)
    assert len(view.runs) == 4
    names = {name for name, _ in training.differences(view.runs)}
    assert names == {"training learning_rate", "method_settings rank"}
    for run in view.runs:
        training.cancel(lab, run.id)
    with pytest.raises(LabError, match=r"must be one such as training.learning_rate"):
        studies.sweep(lab, LORA, {"training.colour": [1]})
    drawn = studies.show(lab, studies.sweep(lab, LORA, {"training.seed": list(range(9))}, draws=2))
    assert len(drawn.runs) == 2
    for run in drawn.runs:
        training.cancel(lab, run.id)


def queued(lab: Lab) -> list[int]:
    return sorted(view.id for view in jobs.find(lab, status="queued")[0])


def test_a_bake_off_measures_every_method_on_the_same_rows(lab: Lab, done: Done) -> None:
    for job in queued(lab):
        jobs.cancel(lab, job)
    before = set(queued(lab))
    study = studies.bake_off(lab, LORA, ["full", "lora"], Held(rows=12, max_new_tokens=6))
    mine = [job for job in queued(lab) if job not in before]
    waiting = jobs.show(lab, mine[2])
    assert waiting.after == mine[:2]
    for job in mine:
        done(job)
    view = studies.show(lab, study)
    lines = results.lines(lab, view)
    assert lines[0].model == "t5"
    assert [bool(line.run) for line in lines] == [False, True, True]
    assert all(line.n == 12 and line.low is not None for line in lines)
    assert [line.baseline for line in lines] == [False, True, False]
    assert lines[2].compared is not None
    assert evaluation.show(lab, view.evaluations["held out"]).status == "finished"


def test_what_was_forgotten_and_a_gate_are_evaluations_that_run_again(lab: Lab, done: Done) -> None:
    from genai_lab.services import matrix
    from genai_lab.services.evaluation import Choice

    for job in queued(lab):
        jobs.cancel(lab, job)
    choices = (Choice("rouge", {"lsum": False}),)
    plan = matrix.Plan("pairs", ("t5",), ("plain",), samplings=(GREEDY,), rows=10, metrics=choices)
    cells = matrix.start(lab, plan)
    done(cells.job_id)
    saved = evaluation.start(lab, cells.cells, choices)
    done(saved.job_id)
    begun = training.start(lab, LORA, name="gated")
    study = studies.gate(lab, [saved.run_id], "t5", "gated")
    with pytest.raises(LabError, match="has no system of llama"):
        studies.gate(lab, [saved.run_id], "llama", "gated")
    for job in [begun.job_id, *(job for job in queued(lab) if job > begun.job_id)]:
        done(job)
    [change] = results.changes(lab, studies.show(lab, study))
    assert change.compared is not None
    assert change.compared.comparison.n == 10
    assert change.before is not None
