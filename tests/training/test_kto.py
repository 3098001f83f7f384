"""KTO: good and bad completions are learned by themselves, from thumbs or from both sides of pairs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.errors import LabError
from genai_lab.services import datasets, models, training
from genai_lab.services.training import batch_preview, estimates, resolve
from genai_lab.training import Architecture, DatasetSpec, Training, TrainingPlan
from genai_lab.training.lab_trainer import TRAINED
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.objectives.kto import Settings, balanced_weights, kto_loss
from genai_lab.training.pair_objective import previous_unlike
from genai_lab.training.training_loop import prepare_run, train
from tests.training.models import WORDS, Told, tiny
from tests.training.test_contract import work_of
from tests.training.test_loop import Stopped, Stopper

ARCHITECTURES: list[Architecture] = ["decoder-only", "encoder-decoder"]
TRAINING = Training(max_steps=2, per_device_batch_size=4, max_length=64, validation_rows=6, eval_steps=2, seed=3)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    return {kind: tiny(folder / kind, kind) for kind in ("llama", "t5")}


@pytest.fixture(scope="module")
def thumbs(lab: LabContext) -> str:
    """A dataset of completions with thumbs, a third of them up."""
    rows = [
        {"prompt": f"Say {a} {b}", "completion": f"{b} {'please' if n % 3 == 0 else 'no'}", "label": str(n % 3 == 0)}
        for n, (a, b) in enumerate((a, b) for a in WORDS[:6] for b in WORDS[6:12])
    ]
    return datasets.import_rows(lab, rows, "thumbs", {"kind": "test"}, split=SplitPlan(by="none", only="train")).name


def trainer_of(bases: dict[str, Path], folder: Path, architecture: Architecture, **training: Any) -> Any:
    inputs = work_of(bases, folder, "full", architecture, "kto", **training)
    setup = prepare_run(inputs, folder, folder / "out", Told())
    return inputs.objective.trainer(architecture)(setup)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_loss_is_that_of_the_paper(bases: dict[str, Path], tmp_path: Path, architecture: Architecture) -> None:
    trainer = trainer_of(bases, tmp_path, architecture)
    batch = trainer._prepare_inputs(trainer.collate([trainer.train_features[index] for index in range(6)]))
    assert trainer.model.eval()
    assert float(trainer.compute_loss(trainer.model, batch)) == pytest.approx(0.5, abs=0.2)  # nothing is learned yet
    batch["reference"] = batch["reference"] + torch.linspace(-9, 9, 12).reshape(6, 2)
    with torch.no_grad():
        loss = trainer.compute_loss(trainer.model, batch)
        policy, mismatched = (
            trainer.token_log_probs(trainer.model, batch, rows).sum(-1) for rows in (slice(0, 6), slice(6, None))
        )
    reference, beta = batch["reference"], trainer.beta
    z0 = max(0.0, float((mismatched - reference[:, 1]).mean()))
    weights = (trainer.desirable_weight, trainer.undesirable_weight)
    expected = []
    for ratio, desirable in zip((policy - reference[:, 0]).tolist(), batch["desirable"].tolist(), strict=True):
        value = torch.tensor(beta * (ratio - z0 if desirable else z0 - ratio)).sigmoid().item()
        expected.append((weights[0] if desirable else weights[1]) * (1 - value))
    assert float(loss) == pytest.approx(sum(expected) / 6, abs=1e-5)
    assert float(kto_loss(policy, reference[:, 0], batch["desirable"], torch.tensor(z0), beta, weights)) == (
        pytest.approx(float(loss), abs=1e-5)
    )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_references_are_log_probabilities_of_the_base_alone(
    bases: dict[str, Path], tmp_path: Path, architecture: Architecture
) -> None:
    trainer = trainer_of(bases, tmp_path, architecture, group_by_length=False)
    row = trainer.train_features[0]
    alone = trainer._prepare_inputs(trainer.collate([row]))
    with torch.no_grad():
        log_probs = trainer.token_log_probs(trainer.model.eval(), alone, slice(None)).sum(-1)
    assert row.reference == pytest.approx(log_probs.tolist(), abs=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_resumed_run_ends_with_the_weights_of_an_unbroken_one(
    bases: dict[str, Path], tmp_path: Path, architecture: Architecture
) -> None:
    settings: dict[str, Any] = {"max_steps": 6, "eval_steps": 2, "gradient_accumulation_steps": 2}
    inputs = work_of(bases, tmp_path, "lora", architecture, "kto", **settings)
    unbroken, resumed = Told(), Told()
    train(inputs, tmp_path, tmp_path / "unbroken", unbroken)
    with pytest.raises(Stopped):
        train(inputs, tmp_path, tmp_path / "resumed", Stopper(3))
    train(inputs, tmp_path, tmp_path / "resumed", resumed)
    first, second = (load_file(tmp_path / name / "checkpoint-6" / TRAINED) for name in ("unbroken", "resumed"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    for name in ("training loss", "training reward margin"):
        assert unbroken.metrics[name][2:] == resumed.metrics[name]


@pytest.mark.parametrize(("good", "bad"), [(10, 10), (10, 12), (1, 9), (9, 1), (100, 70), (3, 0)])
def test_the_rarer_side_is_weighted_into_the_range_of_the_paper(good: int, bad: int) -> None:
    desirable, undesirable = balanced_weights(Settings(), good, bad)
    assert min(desirable, undesirable) == 1.0
    if good and bad:
        assert 1 - 1e-9 <= desirable * good / (undesirable * bad) <= 4 / 3 + 1e-9
    assert balanced_weights(Settings(desirable_weight=2.0), good, bad) == (2.0, 1.0)


@pytest.mark.parametrize("model", ["llama", "t5"])
def test_thumbs_become_a_model_with_its_reference_in_the_lineage(
    lab: LabContext, finish_job: Callable[[int], Any], thumbs: str, model: str
) -> None:
    plan = TrainingPlan(model, (DatasetSpec(thumbs),), "kto", "lora", models={"reference": model}, training=TRAINING)
    started = training.start(lab, plan)
    finish_job(started.job_id)
    view = training.show(lab, started.run_id)
    assert models.show(lab, started.model).status == "ready"
    assert (view.outcome["rows"], view.outcome["held"]) == (8, 4)
    assert [(role, name) for role, name, _ in view.inputs] == [
        ("base", model), ("dataset 1", thumbs), ("reference", model)
    ]  # fmt: skip
    assert view.plan.models == {"reference": model}


def test_a_reference_is_counted_in_the_memory_plan_and_must_suit(lab: LabContext, thumbs: str) -> None:
    plan = TrainingPlan("llama", (DatasetSpec(thumbs),), "kto", "lora", training=TRAINING)
    alone = estimates.estimate(lab, resolve(lab, plan)).memory
    beside = estimates.estimate(lab, resolve(lab, replace(plan, models={"reference": "llama"}))).memory
    assert beside.peak >= alone.peak
    with pytest.raises(LabError, match="t5 is encoder-decoder, but the reference of llama must be decoder-only too"):
        resolve(lab, replace(plan, models={"reference": "t5"}))
    with pytest.raises(LabError, match=r"reads no model as teacher\. Its roles: reference"):
        resolve(lab, replace(plan, models={"teacher": "llama"}))


def test_pairs_are_read_as_two_labelled_completions_each(lab: LabContext) -> None:
    rows = [{"prompt": f"p {n}", "chosen": f"good {n}", "rejected": f"bad {n}"} for n in range(40)]
    name = datasets.import_rows(lab, rows, "unpaired", {"kind": "test"}, split=SplitPlan(by="none", only="train")).name
    resolved = resolve(lab, TrainingPlan("llama", (DatasetSpec(name),), "kto", "full", training=TRAINING))
    read = OBJECTIVES.get("kto").read(resolved.sources[0], resolved.reading, 1000, 10)
    assert {text.desirable for text in read.passes[0]} == {True, False}
    assert all(text.completion.startswith("good") == text.desirable for text in [*read.passes[0], *read.validation])
    preview = batch_preview.first_batch(lab, resolved.plan)
    assert {row.label.split(":")[0] for row in preview.rows} <= {"good", "bad"}


def test_a_mismatched_completion_is_of_another_prompt() -> None:
    rows = ["a1", "a2", "b1", "a3", "a4", "a5"]
    assert previous_unlike(rows, lambda row: row[0]) == ["b1", "b1", "a2", "b1", "b1", "b1"]
    assert previous_unlike(["a1", "a2", "a3"], lambda row: row[0]) == ["a3", "a1", "a2"]
    assert previous_unlike(["a"], str) == ["a"]
    assert previous_unlike([], str) == []


def test_what_is_no_label_is_refused_by_its_row(lab: LabContext) -> None:
    rows = [{"prompt": f"p {n}", "completion": "x", "label": "perhaps"} for n in range(12)]
    name = datasets.import_rows(lab, rows, "vague", {"kind": "test"}, split=SplitPlan(by="none", only="train")).name
    plan = TrainingPlan("llama", (DatasetSpec(name),), "kto", "full", training=TRAINING)
    with pytest.raises(LabError, match=r"Row \d+ of vague@1 has the label 'perhaps', which must say good or bad"):
        training.start(lab, plan)
    with pytest.raises(LabError, match="at least 2 for KTO"):
        resolve(lab, replace(plan, training=replace(TRAINING, per_device_batch_size=1)))
