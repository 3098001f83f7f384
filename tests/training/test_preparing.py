"""What a plan reads: mixtures, templates, draws, and what the machine must have for it."""

import json
import shutil
import subprocess
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import pytest

from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.errors import LabError
from genai_lab.services import datasets, models, training
from genai_lab.services.training import batch_preview, estimates, preparation, resolution, resolve
from genai_lab.training import DatasetSpec, Training, TrainingPlan, step_timing
from genai_lab.training.loading import load_tokenizer
from genai_lab.training.memory_estimate import estimate_memory
from tests.training.test_services import LORA, TRAINING


def test_parts_are_mixed_by_the_rows_that_they_have_and_not_by_those_that_a_run_needs(lab: LabContext) -> None:
    from genai_lab.training.batches import training_dataset

    rows = [{"ask": f"n {n}", "answer": f"x {n}"} for n in range(300)]
    roles = {"input": ["ask"], "reference": ["answer"]}
    for name, count in (("large", 300), ("small", 100)):
        datasets.import_rows(lab, rows[:count], name, {"kind": "test"}, mapping=roles, split=SplitPlan(only="train"))
    plan = replace(LORA, data=(DatasetSpec("large", ("plain",)), DatasetSpec("small", ("plain", "answer-question"))))
    resolved = resolve(lab, plan)
    tokenizer = load_tokenizer(resolved.folder)
    prepared = preparation.prepare(resolved, tokenizer)
    assert prepared.rows_per_source == (300, 100)
    assert [len(item) for item in prepared.train] == [16, 16]
    context = preparation.encoding_context(resolved, tokenizer)
    rows_read = training_dataset(
        plan, prepared.train, 1000, resolved.objective, context, prepared.passes, prepared.rows_per_source
    )
    assert sum(part == 0 for part, _ in rows_read.indices) / 4000 == pytest.approx(0.75, abs=0.03)


def test_parts_are_mixed_by_size_temperature_or_weight() -> None:
    from genai_lab.training.batches import mixing_weights, sample_order

    parts = (DatasetSpec("a", weight=1), DatasetSpec("b", weight=3))
    plan = TrainingPlan("t5", parts, cap=0)
    assert mixing_weights(plan, [300, 100]) == pytest.approx([0.75, 0.25])
    assert mixing_weights(replace(plan, cap=100), [300, 100]) == pytest.approx([0.5, 0.5])
    assert mixing_weights(replace(plan, mixing="temperature", temperature=2.0), [400, 100]) == pytest.approx(
        [2 / 3, 1 / 3]
    )
    assert mixing_weights(replace(plan, mixing="weights"), [300, 100]) == pytest.approx([0.25, 0.75])
    order = list(islice(sample_order([(3,), (5,)], [0.5, 0.5], seed=1), 400))
    counts = [sum(part == n for part, _ in order) for n in (0, 1)]
    assert min(counts) > 150
    first = [item for part, item in order if part == 1][:5]
    assert sorted(first) == [0, 1, 2, 3, 4]


def test_passes_put_each_row_into_one_template_after_the_other(lab: LabContext) -> None:
    from genai_lab.training.batches import sample_order

    plan = replace(LORA, training=replace(TRAINING, num_train_epochs=3.0))
    resolved = resolve(lab, plan)
    tokenizer = load_tokenizer(resolved.folder)
    prepared = preparation.prepare(resolved, tokenizer)
    assert prepared.passes == ((36, 36),)
    assert prepared.steps == 3 * 36 / 4
    samples = [item for _, item in islice(sample_order(prepared.passes, [1.0], seed=0), 108)]
    assert [sorted(samples[start : start + 36]) for start in (0, 36, 72)] == [
        list(range(36)), list(range(36, 72)), list(range(36))
    ]  # fmt: skip
    for first, second in zip(prepared.train[0][:36], prepared.train[0][36:], strict=True):
        assert first.target == second.target
        assert first.ids != second.ids


def test_a_run_of_ten_million_steps_draws_what_is_looked_at(lab: LabContext) -> None:
    long, short = (replace(LORA, training=replace(TRAINING, max_steps=steps)) for steps in (10_000_000, 1000))
    assert batch_preview.first_batch(lab, long).rows == batch_preview.first_batch(lab, short).rows


def test_draws_are_the_same_in_whatever_order_they_are_looked_at() -> None:
    from genai_lab.training.batches import WINDOW, LazyIndex, sample_order

    places = LazyIndex(lambda: islice(sample_order([(50, 50), (9,)], [0.5, 0.5], seed=4), 3 * WINDOW), 3 * WINDOW)
    straight = list(places)
    assert len(straight) == len(places) == 3 * WINDOW
    for index in (2 * WINDOW, 5, WINDOW - 1, WINDOW, 3 * WINDOW - 1):
        assert places[index] == straight[index]
    assert places[WINDOW - 2 : WINDOW + 2] == straight[WINDOW - 2 : WINDOW + 2]


def test_memory_is_reckoned_for_every_process_of_the_cpu(lab: LabContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolution, "cores", lambda: 2)
    two = replace(LORA, training=replace(TRAINING, processes=2))
    estimate = estimates.estimate(lab, resolve(lab, two))
    assert estimate.peak == 2 * estimate.memory.peak
    monkeypatch.setattr(estimates, "machine_memory", lambda: estimate.peak - 1)
    with pytest.raises(LabError, match="of memory for its 2 processes"):
        training.start(lab, two)


@pytest.mark.parametrize(
    ("objective", "model"), [("instruction", "llama"), ("instruction", "t5"), ("classification", "roberta")]
)
def test_time_and_passes_are_foreseen_from_two_steps_that_are_timed_once(
    lab: LabContext, monkeypatch: pytest.MonkeyPatch, objective: str, model: str
) -> None:
    orders: list[step_timing.TimingRequest] = []

    def counted(order: step_timing.TimingRequest) -> step_timing.StepTime:
        orders.append(order)
        return step_timing.time_steps(order)

    monkeypatch.setattr(estimates, "time_in_process", counted)
    estimates._step_time.cache_clear()
    own_result = Training(max_steps=36, per_device_batch_size=4, max_length=64, max_target_length=24, validation_rows=6)
    plan = TrainingPlan(model, (DatasetSpec("pairs", ("plain",)),), objective, "full", training=own_result)
    estimate = estimates.time_run(lab, resolve(lab, plan))
    assert (estimate.steps, estimate.rows, estimate.passes) == (36, 36, 4.0)
    assert estimate.seconds > 36 * estimate.seconds_per_step > 0
    assert estimate.tokens_per_second > 0
    assert "36 steps are 4 passes over 36 rows." in estimate.sentence
    longer = replace(plan, training=replace(own_result, max_steps=72, seed=5, learning_rate=1e-3))
    added = estimates.time_run(lab, resolve(lab, longer)).seconds - estimate.seconds
    assert 35.9 < added / estimate.seconds_per_step < 38  # its steps, and one evaluation more
    epochs = replace(plan, training=replace(own_result, num_train_epochs=2.0))
    assert (estimates.time_run(lab, resolve(lab, epochs)).steps, len(orders)) == (18, 1)
    estimates.time_run(lab, resolve(lab, replace(plan, training=replace(own_result, per_device_batch_size=8))))
    assert len(orders) == 2


@pytest.mark.parametrize(("objective", "read_before"), [("instruction", 0), ("dpo", 1), ("reward", 1)])
def test_what_a_run_reads_without_learning_is_foreseen(
    lab: LabContext, monkeypatch: pytest.MonkeyPatch, objective: str, read_before: int
) -> None:
    """Loading, evaluations, and the pass that a reference or a new head takes before the first step."""
    if objective != "instruction":
        rows = [{"prompt": f"{n}?", "chosen": "yes", "rejected": "no"} for n in range(50)]
        split = SplitPlan(by="none", only="train")
        name = datasets.import_rows(lab, rows, f"time-{objective}", {"kind": "test"}, split=split).name
        parts = (DatasetSpec(name),)
    else:
        parts = (DatasetSpec("pairs", ("plain",)),)
    monkeypatch.setattr(estimates, "_step_time", lambda request: step_timing.StepTime(10.0, 64, 3.0, 7.0))
    own_result = Training(max_steps=5, per_device_batch_size=4, max_length=64, validation_rows=4, eval_steps=5)
    plan = TrainingPlan("llama", parts, objective, "lora", training=own_result)
    estimate = estimates.time_run(lab, resolve(lab, plan))
    evaluations = 2  # before the first step and behind the last one, of one batch each
    assert estimate.seconds == pytest.approx(7 + 5 * 10 + (evaluations + 5 * read_before) * 3)


def test_the_memory_of_a_base_does_not_depend_on_the_dtype_that_it_is_stored_in(
    lab: LabContext, tmp_path: Path
) -> None:
    plan = TrainingPlan("llama", (DatasetSpec("pairs", ("plain",)),), training=Training(max_length=64))
    stored = models.show(lab, "llama").card.path
    assert stored is not None
    folder = shutil.copytree(stored, tmp_path / "halves")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "bfloat16"}))
    whole, halves = (estimate_memory(plan, path, "decoder-only", (), 64, 0) for path in (stored, folder))
    assert config.get("dtype") != "bfloat16"
    assert halves == whole
    assert whole.weights >= 4 * whole.parameters


def test_steps_that_cannot_be_timed_are_one_sentence(
    lab: LabContext, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    order = step_timing.TimingRequest(
        TrainingPlan("none", (DatasetSpec("none"),)).to_yaml(), "/nowhere", "decoder-only", (), 8, 0, "cpu"
    )
    assert step_timing.main([json.dumps(asdict(order))]) == 0
    message = json.loads(capsys.readouterr().out)["error"]
    assert message.startswith("The base in nowhere cannot be loaded")
    for output, content in ((json.dumps({"error": message}), "cannot be loaded"), ("", "for want of memory")):
        process = subprocess.CompletedProcess([], 0, stdout=output)
        monkeypatch.setattr(step_timing.subprocess, "run", lambda *args, process=process, **more: process)
        with pytest.raises(LabError, match=content):
            step_timing.time_in_process(order)


def test_foreseen_and_measured_memory_are_of_the_whole_process(lab: LabContext) -> None:
    own_result = Training(max_steps=1, per_device_batch_size=4, max_length=64)
    plan = TrainingPlan("llama", (DatasetSpec("pairs", ("plain",)),), "instruction", "full", training=own_result)
    memory = estimates.estimate(lab, resolve(lab, plan)).memory
    assert memory.process > 400e6
    assert memory.peak > memory.process + memory.weights
    assert memory.needed < memory.process
