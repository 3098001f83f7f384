"""Completions of a model that learns, measured by the task's metric against the base's."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genai_lab.decoding.greedy import greedy
from genai_lab.evaluation.figures import figure_of
from genai_lab.metrics import Sample
from genai_lab.training import DatasetSpec, Training, TrainingPlan
from genai_lab.training.batches import validation_dataset
from genai_lab.training.completion_scores import (
    FILE,
    CompletionScorer,
    metric_for,
    rows_for,
    same_completions,
    score_of,
)
from genai_lab.training.examples import EncodedExample, TextExample
from genai_lab.training.inputs import TrainingInputs
from genai_lab.training.loading import ends_of, load_module, load_tokenizer
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.training_loop import note_of_worse_task, train
from tests.training.models import TEXTS, WORDS, Told, context_for, encoded, tiny

FIGURE = figure_of("exact_match", "exact_match")
LABELS = ("yes", "no")


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    return {kind: tiny(folder / kind, kind) for kind in ("llama", "gpt2", "t5")}


@pytest.mark.parametrize("kind", ["llama", "gpt2", "t5"])
def test_completions_of_a_batch_are_those_of_transformers(bases: dict[str, Path], kind: str) -> None:
    architecture: Any = "encoder-decoder" if kind == "t5" else "decoder-only"
    module, tokenizer = load_module(bases[kind], architecture).eval(), load_tokenizer(bases[kind])
    prompts = [list(tokenizer(text.prompt)["input_ids"]) for text in TEXTS[:7]] + [list(range(5, 30))]
    ends = ends_of(module, tokenizer)
    result = greedy(module, prompts, [1] if kind == "t5" else [], [12] * 7 + [5], ends)
    for prompt, room, own_result in zip(prompts, [12] * 7 + [5], result, strict=True):
        ids = torch.tensor([prompt])
        out = module.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=room, do_sample=False, use_cache=True
        )[0].tolist()[1 if kind == "t5" else len(prompt) :]
        assert own_result == [token for token in out if token not in ends]


def labelled(count: int) -> list[TextExample]:
    """Whether a colour is named: something that a tiny model learns."""
    arguments = [(a, b) for a in WORDS[:3] for b in WORDS[3:]]
    texts = [TextExample(f"{a} {b}:", f" {LABELS[WORDS.index(a) % 2]}", row=n) for n, (a, b) in enumerate(arguments)]
    return texts[:count]


def learned(bases: dict[str, Path], folder: Path, rate: float, steps: int = 60) -> tuple[dict[str, Any], Told]:
    training = Training(
        max_steps=steps, per_device_batch_size=8, max_length=32, learning_rate=rate, eval_steps=steps, warmup_ratio=0.0
    )
    plan = TrainingPlan("base", (DatasetSpec("texts@1"),), "instruction", "full", training=training)
    tokenizer = load_tokenizer(bases["llama"])
    items = encoded(labelled(36), tokenizer, "decoder-only", training)
    scored = rows_for(items[:12], 50, 0)
    inputs = TrainingInputs(
        plan, bases["llama"], "base", "decoder-only", steps, "cpu", scored=scored, metric=metric_for(items)
    )
    inputs.write(folder, [items[12:]], items[:12])
    reporter = Told()
    return train(TrainingInputs.read(folder), folder, folder / "out", reporter), reporter


def test_a_run_on_labels_is_scored_by_exact_match_and_compared_with_its_base(
    bases: dict[str, Path], tmp_path: Path
) -> None:
    outcome, report = learned(bases, tmp_path, 5e-3)
    assert [step for step, _ in report.metrics["validation exact match"]] == [0, 60]
    assert set(report.metrics) >= {"validation loss", "validation token accuracy"}
    assert "validation accuracy" not in report.metrics
    assert outcome["base"]["words"] == (
        f"The base has {outcome['base']['value']:.3f} exact match, 95 % interval {outcome['base']['low']:.3f} to "
        f"{outcome['base']['high']:.3f}, n = 12."
    )
    assert outcome["score"]["value"] > outcome["base"]["value"]
    assert outcome["score"]["words"].startswith("Step 60 is better than the base by ")
    assert ", n = 12, p = 0.0" in outcome["score"]["words"]
    assert outcome["scoring_seconds"] > 0
    assert note_of_worse_task(outcome) == ""


def test_a_loss_is_told_in_words_and_as_a_note() -> None:
    base, step = np.ones(30), Sample(np.array([1.0] * 18 + [0.0] * 12), proportion=True)
    score = score_of(FIGURE, 10, step, base, "", 0.5)
    assert score.worse
    assert score.words.startswith("Step 10 is worse than the base by 40.0 points of exact match, 95 % interval ")
    assert "made the model worse at its task" in note_of_worse_task({"score": score.__dict__})


def test_what_is_not_certain_is_said_with_the_rows_that_it_would_take() -> None:
    base = np.array([1.0] * 17 + [0.0] * 9)
    score = score_of(FIGURE, 10, Sample(np.array([1.0] * 14 + [0.0] * 12), proportion=True), base, "", 0.5)
    assert not score.worse
    assert score.words.startswith("No significant difference between step 10 and the base: -11.5 points of exact match")
    assert "n = 26" in score.words
    assert "rows would be needed" in score.words


def test_equal_completions_are_told_where_different_ones_are_wanted() -> None:
    assert same_completions(["positive"] * 5, ["positive", "negative"] * 2 + ["positive"]) == (
        "All 5 completions are the same ('positive'), whatever the prompt."
    )
    assert same_completions(["", ""], ["a", "b"]) == "All 2 completions are the same (empty), whatever the prompt."
    assert same_completions(["a", "b"], ["a", "b"]) == ""
    assert same_completions(["a", "a"], ["a", "a"]) == ""


def test_the_metric_follows_from_what_is_to_be_written() -> None:
    assert metric_for([EncodedExample([1], [index % 3, 0]) for index in range(30)]) == "exact_match"
    assert metric_for([EncodedExample([1], [index, 0]) for index in range(30)]) == "rouge"


def test_rows_are_drawn_with_the_seed_and_fewer_where_completions_are_long() -> None:
    short, long = [EncodedExample([1], [2, 0])] * 400, [EncodedExample([1], list(range(120)))] * 400
    assert rows_for(short, 50, 3) == rows_for(short, 50, 3) != rows_for(short, 50, 4)
    assert len(rows_for(short, 50, 0)) == 50
    assert len(rows_for(long, 200, 0)) == 31
    assert len(rows_for(short[:7], 50, 0)) == 7


def test_a_run_that_goes_on_is_compared_with_the_base_of_its_beginning(bases: dict[str, Path], tmp_path: Path) -> None:
    tokenizer = load_tokenizer(bases["llama"])
    module = load_module(bases["llama"], "decoder-only").eval()
    training = Training(max_length=32)
    plan = TrainingPlan("base", (DatasetSpec("texts@1"),), training=training)
    items = encoded(TEXTS[:6], tokenizer, "decoder-only", training)
    validation_set = validation_dataset(
        items, OBJECTIVES.get("instruction"), context_for(tokenizer, "decoder-only", training)
    )
    work = TrainingInputs(plan, bases["llama"], "base", "decoder-only", 4, "cpu", scored=(0, 1, 2), metric="rouge")
    CompletionScorer(work, validation_set, tmp_path, Told()).score(module, tokenizer, 0, reports=True)
    reporter = Told()
    CompletionScorer(replace(work), validation_set, tmp_path, reporter).score(module, tokenizer, 3, reports=True)
    assert reporter.records[0]["score"]["words"].startswith(
        "No significant difference between step 3 and the base: +0.0"
    )
    assert (tmp_path / FILE).is_file()
