"""What a model's own completions are worth while it learns: by the task's metric, in pairs against the base's.

The loss and the share of tokens that are right given all tokens before them can improve while the completions get
worse. So at each evaluation some validation prompts, drawn with the seed, are completed greedily and measured.
"""

import json
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genai_lab.evaluation.figures import figure_of
from genai_lab.evaluation.statistics import compare, interval, verdict
from genai_lab.files import write_json
from genai_lab.metrics import METRICS, Array, Figure, Sample
from genai_lab.training.batches import FeatureDataset
from genai_lab.training.examples import EncodedExample
from genai_lab.training.generation import decode, generate_greedily
from genai_lab.training.inputs import TrainingInputs
from genai_lab.training.reporter import Reporter

FILE = "scores.json"
FIGURES = {"exact_match": "exact_match", "rouge": "rougeL"}
SETTINGS: dict[str, dict[str, bool]] = {"exact_match": {"first_line": True}, "rouge": {"lsum": False}}
MOST_LABELS, ROWS_PER_LABEL = 20, 4
LONGEST, BEYOND = 128, 8
TOKENS, FEWEST = 4000, 16


@dataclass(frozen=True)
class CompletionScore:
    """What the completions of one step are worth, with the 95 % interval over n rows.

    `words` compare it with the base's on the same rows, and `worse` says that the test tells a loss; `same` says when
    all completions are equal, and is empty otherwise. `seconds` is what finding out took.
    """

    step: int
    figure: str
    value: float
    low: float
    high: float
    n: int
    words: str
    worse: bool
    same: str
    seconds: float


def metric_for(examples: Sequence[EncodedExample]) -> str:
    """Exact match where a few completions come again and again, as labels do; ROUGE for texts."""
    answers = {tuple(example.last_answer()[1]) for example in examples}
    labels = len(answers) <= MOST_LABELS and len(examples) >= ROWS_PER_LABEL * len(answers)
    return "exact_match" if labels else "rouge"


def rows_for(examples: Sequence[EncodedExample], most: int, seed: int) -> tuple[int, ...]:
    """Which validation examples are completed: at most `most`, fewer where completions are long."""
    count = min(most, len(examples), max(FEWEST, TOKENS // _max_new_tokens(examples)))
    return tuple(sorted(random.Random(f"scored {seed}").sample(range(len(examples)), count)))


class CompletionScorer:
    """Completes and measures; the scores stay beside the checkpoints, for a run that is resumed."""

    def __init__(self, inputs: TrainingInputs, validation: FeatureDataset, out: Path, reporter: Reporter) -> None:
        self.inputs, self.reporter, self.file = inputs, reporter, out / FILE
        self.examples = [validation.examples[0][index] for index in inputs.scored] if inputs.metric else []

    def score(self, module: Any, tokenizer: Any, step: int, *, reports: bool) -> None:
        """Measures the module as it is; `reports` in the one process that does."""
        if not self.examples:
            return
        began = time.perf_counter()
        texts = completions(self.inputs, module, tokenizer, self.examples)
        if not reports:
            return
        references = [decode(tokenizer, example.last_answer()[1]) for example in self.examples]
        metric = METRICS.get(self.inputs.metric)
        rows = metric.rows(texts, [[text] for text in references], metric.settings(**SETTINGS[metric.name]))
        figure = figure_of(metric.name, FIGURES[metric.name])
        values = rows.samples[figure.name]
        scores = _read(self.file)
        base = np.array(scores["0"]["values"]) if step and "0" in scores else None
        seconds = time.perf_counter() - began
        score = score_of(figure, step, values, base, same_completions(texts, references), seconds)
        scores[str(step)] = {"values": values.parts.tolist(), "score": asdict(score)}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.file, scores)
        self.reporter.metric(f"validation {figure.title}", step, score.value)
        self.reporter.record({"key": f"score {step}", "score": asdict(score)})


def score_of(
    figure: Figure, step: int, values: Sample, base: Array | None, same: str, seconds: float
) -> CompletionScore:
    """The figure of the step's rows with its interval, and its difference from the base in words."""
    bounds = (figure.low, figure.high)
    result = interval(values, bounds=bounds)
    value, low, high = (number or 0.0 for number in (result.value, result.low, result.high))
    name = f"step {step:,}" if step else "the base"
    sentence = f"{name} has {value:.3f} {figure.title}, 95 % interval {low:.3f} to {high:.3f}, n = {result.n:,}."
    worse = False
    if base is not None:
        comparison = compare(Sample(base, proportion=values.proportion), values, bounds=bounds)
        sentence = verdict("the base", name, figure, comparison)
        worse = comparison.p_randomisation < 0.05 and comparison.high < 0
    return CompletionScore(
        step, figure.title, value, low, high, result.n, sentence[0].upper() + sentence[1:], worse, same, seconds
    )


def same_completions(texts: Sequence[str], references: Sequence[str]) -> str:
    """A sentence where all completions are equal and the references are not."""
    if len(texts) < 2 or len(set(texts)) > 1 or len(set(references)) == 1:
        return ""
    text = f"{texts[0][:60]!r}" if texts[0] else "empty"
    return f"All {len(texts)} completions are the same ({text}), whatever the prompt."


def summary(out: Path, step: int | None) -> dict[str, Any]:
    """{"score", "base", "scoring_seconds"} of a run whose best checkpoint is that of `step`; {} where none was scored.

    `score` and `base` are fields of `Score`.
    """
    scores = _read(out / FILE)
    best = scores.get(str(step))
    if best is None:
        return {}
    base = scores["0"]["score"] if "0" in scores else None
    return {
        "score": best["score"],
        "base": base,
        "scoring_seconds": sum(entry["score"]["seconds"] for entry in scores.values()),
    }


def completions(inputs: TrainingInputs, module: Any, tokenizer: Any, examples: Sequence[EncodedExample]) -> list[str]:
    """What the module writes for the examples' prompts, greedily."""
    prompts, most = [example.last_answer()[0] for example in examples], _max_new_tokens(examples)
    if inputs.one_at_a_time or inputs.training.sharding != "none":
        return generate_greedily(
            module, tokenizer, inputs.architecture, prompts, most, one_at_a_time=inputs.one_at_a_time
        )
    from genai_lab.decoding.greedy import greedy
    from genai_lab.models.transformers import context_of
    from genai_lab.training.loading import ends_of, start_of

    base = module.get_base_model() if hasattr(module, "get_base_model") else module
    seq2seq = inputs.architecture == "encoder-decoder"
    start = [start_of(base.config) or 0] if seq2seq else []
    limits = [most if seq2seq else min(most, context_of(base, tokenizer) - len(prompt)) for prompt in prompts]
    return [decode(tokenizer, ids) for ids in greedy(base, prompts, start, limits, ends_of(base, tokenizer))]


def _max_new_tokens(examples: Sequence[EncodedExample]) -> int:
    """New tokens that a completion may have: some more than the longest reference."""
    return min(LONGEST, max(len(example.last_answer()[1]) for example in examples) + BEYOND)


def _read(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text())) if file.is_file() else {}
