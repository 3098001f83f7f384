"""Pairs: weights reach the loss, runs go on exactly, every method leaves a model that scores the same."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import logsigmoid

from genai_lab.errors import BadSetting
from genai_lab.training import Architecture
from genai_lab.training.artefacts import export_best
from genai_lab.training.example_files import read_examples, write_examples
from genai_lab.training.examples import EncodedPair
from genai_lab.training.implicit_reward import ImplicitReward
from genai_lab.training.inputs import TrainingInputs
from genai_lab.training.lab_trainer import TRAINED, step_of
from genai_lab.training.loading import load_module
from genai_lab.training.methods import METHODS
from genai_lab.training.module_kinds import SCORER
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.objectives.dpo import LOSSES, Settings
from genai_lab.training.training_loop import best_checkpoint, prepare_run, resume, train
from tests.products import representatives
from tests.training.models import TEXTS, Told, tiny
from tests.training.test_contract import loaded, sort_of, work_of
from tests.training.test_loop import Stopped, Stopper

KINDS: list[tuple[str, Architecture]] = [("reward", "encoder"), ("reward", "decoder-only"), ("dpo", "decoder-only")]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    return {kind: tiny(folder / kind, kind) for kind in ("llama", "gpt2", "roberta")}


def weighed(work: TrainingInputs, folder: Path, weights: list[float]) -> tuple[Any, list[int]]:
    """(trainer, the examples in the order of its rows) with these weights of its examples in turn."""
    train, validation = work.examples(folder)
    pairs = [replace(pair, weight=weights[n % len(weights)]) for n, pair in enumerate(train[0])]
    work.write(folder, [pairs], validation)
    trainer: Any = work.objective.trainer(work.architecture)(prepare_run(work, folder, folder / "out", Told()))
    return trainer, [example for _, example in trainer.train_features.indices]


def loss_and_gradients(loop: Any, places: list[int]) -> tuple[float, list[torch.Tensor]]:
    loop.model.zero_grad()
    loop.model.eval()
    inputs = loop._prepare_inputs(loop.collate([loop.train_features[index] for index in places]))
    count = loop._get_num_items_in_batch([inputs], "cpu")
    loss = loop.compute_loss(loop.model, inputs, num_items_in_batch=count)
    loss.backward()
    return float(loss), [parameter.grad.clone() for parameter in loop.model.parameters() if parameter.grad is not None]


@pytest.mark.parametrize(("objective", "architecture"), KINDS)
def test_a_pair_of_weight_0_is_as_good_as_gone(
    bases: dict[str, Path], tmp_path: Path, objective: str, architecture: Architecture
) -> None:
    work = work_of(bases, tmp_path, "full", architecture, objective, group_by_length=False)
    loop, items = weighed(work, tmp_path, [1.0, 0.0, 2.0])
    places = list(range(12))
    some = [index for index in places if items[index] % 3 != 1]
    assert 0 < len(some) < 12
    loss, gradients = loss_and_gradients(loop, places)
    without, others = loss_and_gradients(loop, some)
    assert loss == pytest.approx(without, abs=1e-6)
    assert gradients
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(gradients, others, strict=True))


@pytest.mark.parametrize("margin", [False, True])
def test_the_loss_of_a_reward_model_is_the_weighted_mean_of_bradley_and_terry(
    bases: dict[str, Path], tmp_path: Path, margin: bool
) -> None:
    work = work_of(bases, tmp_path, "full", "encoder", "reward")
    plan = replace(work.plan, objective_settings={"use_margin": margin, "centring": 0.5})
    loop, _ = weighed(replace(work, plan=plan), tmp_path, [0.5, 3.0])
    inputs = loop.collate([loop.train_features[index] for index in range(4)])
    inputs["margin"] = inputs["margin"] + (0.7 if margin else 0.0)
    loop.model.eval()
    with torch.no_grad():
        scores = loop.model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits[:, 0]
        result = loop.compute_loss(loop.model, inputs)
    chosen_scores, rejected = scores.chunk(2)
    each = -logsigmoid(chosen_scores - rejected - inputs["margin"]) + 0.5 * (chosen_scores + rejected) ** 2
    assert float(result) == pytest.approx(float((inputs["weight"] * each).sum() / inputs["weight"].sum()), abs=1e-5)


@pytest.mark.parametrize("method", ["full", "lora", "prefix_tuning"])
def test_dpo_is_measured_against_the_base(bases: dict[str, Path], tmp_path: Path, method: str) -> None:
    work = work_of(bases, tmp_path, method, "decoder-only", "dpo")
    loop, _ = weighed(work, tmp_path, [1.0])
    base = load_module(work.base, "decoder-only").eval()
    rows = [loop.train_features[index] for index in range(4)]
    batch = loop.collate(rows)
    with torch.no_grad():
        logits = base(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits.log_softmax(-1)
    own_result = logits[:, :-1].gather(-1, batch["input_ids"][:, 1:, None])[..., 0] * batch["completion_mask"][:, 1:]
    chosen_scores, rejected = own_result.sum(1).chunk(2)
    torch.testing.assert_close(batch["ref_chosen_logps"], chosen_scores, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(batch["ref_rejected_logps"], rejected, atol=1e-4, rtol=1e-4)
    if method != "prefix_tuning":
        loop.model.eval()
        loss = loop.compute_loss(loop.model, loop._prepare_inputs(batch))
        assert loss.item() == pytest.approx(0.6931, abs=1e-3)  # before the first step both are the same


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_of_dpo_takes_weights(bases: dict[str, Path], tmp_path: Path, loss: str) -> None:
    work = work_of(bases, tmp_path, "full", "decoder-only", "dpo")
    smoothing = 0.1 if loss in ("robust", "exo_pair") else 0.0
    plan = replace(work.plan, objective_settings={"loss": loss, "smoothing": smoothing})
    loop, _ = weighed(replace(work, plan=plan), tmp_path, [1.0, 3.0])
    parts = [loss_and_gradients(loop, [index])[0] for index in range(4)]
    weights = [loop.train_features[index].weight for index in range(4)]
    expected = sum(a * b for a, b in zip(parts, weights, strict=True)) / sum(weights)
    assert loss_and_gradients(loop, list(range(4)))[0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("method", ["full", "lora", "p_tuning"])
def test_the_implicit_reward_of_a_policy_is_what_its_run_measured(
    bases: dict[str, Path], tmp_path: Path, method: str
) -> None:
    options: dict[str, Any] = {"max_steps": 12, "eval_steps": 12, "learning_rate": 1e-2}
    work, reporter = work_of(bases, tmp_path, method, "decoder-only", "dpo", **options), Told()
    train(work, tmp_path, tmp_path / "out", reporter)
    best = best_checkpoint(tmp_path / "out")
    assert best is not None
    model, texts = ImplicitReward(work, tmp_path / "out"), TEXTS[:4]
    prompts = [text.prompt for text in texts]
    sides = {
        "chosen": [text.completion for text in texts],
        "rejected": [" ".join(reversed(text.completion.split())) for text in texts],
    }
    for name, completions in sides.items():
        result = dict(reporter.metrics[f"validation {name} reward"])[step_of(best)]
        scores = model.rewards(prompts, completions)
        assert abs(result) > 1e-3
        assert sum(scores) / len(scores) == pytest.approx(result, rel=1e-3, abs=1e-4)


def test_smoothing_that_a_loss_does_not_use_is_refused() -> None:
    with pytest.raises(BadSetting, match="0 for the loss sigmoid"):
        Settings(label_smoothing=0.1)
    with pytest.raises(BadSetting, match="above 0 for the loss exo_pair"):
        Settings(loss_type="exo_pair")


CASES: list[tuple[str, str, Architecture]] = [
    ("reward", "full", "encoder"),
    ("reward", "lora", "decoder-only"),
    ("dpo", "full", "decoder-only"),
    ("dpo", "lora", "decoder-only"),
]


@pytest.mark.parametrize(("objective", "method", "architecture"), CASES)
def test_a_run_that_was_stopped_ends_with_the_very_weights_of_one_that_was_not(
    bases: dict[str, Path], tmp_path: Path, objective: str, method: str, architecture: Architecture
) -> None:
    options: dict[str, Any] = {"max_steps": 9, "eval_steps": 3, "gradient_accumulation_steps": 2}
    work = work_of(bases, tmp_path, method, architecture, objective, **options)
    uninterrupted, broken = Told(), Told()
    train(work, tmp_path, tmp_path / "whole", uninterrupted)
    with pytest.raises(Stopped):
        train(work, tmp_path, tmp_path / "broken", Stopper(5))
    train(work, tmp_path, tmp_path / "broken", broken)
    ends = [load_file(tmp_path / name / "checkpoint-9" / TRAINED) for name in ("whole", "broken")]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    for name in ("training loss", "training accuracy", "training reward margin", "training chosen reward"):
        assert uninterrupted.metrics[name][3:] == broken.metrics[name]
    assert {"validation accuracy", "validation rejected reward"} <= set(uninterrupted.metrics)


WAYS = [
    (objective, method, architecture)
    for objective, architecture in KINDS
    for method in METHODS
    if architecture in METHODS.get(method).architectures
    and not OBJECTIVES.get(objective).excludes(METHODS.get(method))
    and method != "qlora"
]


@pytest.mark.parametrize(
    ("objective", "method", "architecture"),
    representatives(WAYS, lambda row: row[1], lambda row: (row[0], row[2], sort_of(row[1]))),
)
def test_every_method_that_suits_leaves_a_model_that_says_the_same(
    bases: dict[str, Path], tmp_path: Path, objective: str, method: str, architecture: Architecture
) -> None:
    work, reporter = work_of(bases, tmp_path, method, architecture, objective, max_steps=2, eval_steps=2), Told()
    train(work, tmp_path, tmp_path / "out", reporter)
    assert {item["sample"]["place"] for item in reporter.records if "sample" in item} == {0, 1}
    setup = prepare_run(work, tmp_path, tmp_path / "out", reporter)
    module, tokenizer = setup.module, setup.tokenizer
    best = best_checkpoint(tmp_path / "out")
    assert best is not None
    resume(module, work.method, best)
    artefact = tmp_path / "artefact"
    export_best(work, tmp_path / "out", artefact)
    if objective == "reward":
        assert (artefact / "config.json").is_file()
        assert load_module(artefact, architecture, SCORER).config.pad_token_id == tokenizer.pad_token_id
    if not METHODS.get(method).peft_format:
        return
    ids = torch.tensor([setup.train[0].chosen.ids])
    with torch.no_grad():
        ours, theirs = (item.eval()(input_ids=ids).logits for item in (module, loaded(work, artefact)))
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_pairs_survive_their_file(bases: dict[str, Path], tmp_path: Path) -> None:
    work = work_of(bases, tmp_path, "full", "encoder", "reward")
    items = [replace(example, weight=0.1 * n, margin=-n) for n, example in enumerate(work.examples(tmp_path)[1])]
    write_examples(tmp_path / "pairs.npz", items, EncodedPair)
    assert read_examples(tmp_path / "pairs.npz", EncodedPair) == items
