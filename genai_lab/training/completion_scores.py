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
from genai_lab.training import Reporter
from genai_lab.training.batches import Draws
from genai_lab.training.inputs import TrainingInputs
from genai_lab.training.objectives import Item

FILE = "scores.json"
FIGURES = {"exact_match": "exact_match", "rouge": "rougeL"}
SETTINGS: dict[str, dict[str, bool]] = {"exact_match": {"first_line": True}, "rouge": {"lsum": False}}
MOST_LABELS, ROWS_A_LABEL = 20, 4
LONGEST, BEYOND = 128, 8
TOKENS, FEWEST = 4000, 16


@dataclass(frozen=True)
class Score:
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


def metric_for(items: Sequence[Item]) -> str:
    """Exact match where a few completions come again and again, as labels do; ROUGE for texts."""
    kinds = {tuple(item.last_answer()[1]) for item in items}
    labels = len(kinds) <= MOST_LABELS and len(items) >= ROWS_A_LABEL * len(kinds)
    return "exact_match" if labels else "rouge"


def rows_for(items: Sequence[Item], wanted: int, seed: int) -> tuple[int, ...]:
    """Which validation items are completed: as many as are wanted, fewer where completions are long."""
    count = min(wanted, len(items), max(FEWEST, TOKENS // _room(items)))
    return tuple(sorted(random.Random(f"scored {seed}").sample(range(len(items)), count)))


class Scorer:
    """Completes and measures; what was found stays beside the checkpoints, for a run that goes on."""

    def __init__(self, work: TrainingInputs, held: Draws, out: Path, tell: Reporter) -> None:
        self.work, self.tell, self.file = work, tell, out / FILE
        self.items = [held.items[0][place] for place in work.scored] if work.metric else []

    def score(self, module: Any, tokenizer: Any, step: int, *, tells: bool) -> None:
        """Measures the module as it is; `tells` in the one process that reports."""
        if not self.items:
            return
        began = time.perf_counter()
        texts = completions(self.work, module, tokenizer, self.items)
        if not tells:
            return
        wanted = [decoded(tokenizer, item.last_answer()[1]) for item in self.items]
        metric = METRICS.get(self.work.metric)
        rows = metric.rows(texts, [[one] for one in wanted], metric.settings(**SETTINGS[metric.name]))
        figure = figure_of(metric.name, FIGURES[metric.name])
        values = rows.samples[figure.name]
        kept = _kept(self.file)
        base = np.array(kept["0"]["values"]) if step and "0" in kept else None
        score = judged(figure, step, values, base, same(texts, wanted), time.perf_counter() - began)
        kept[str(step)] = {"values": values.parts.tolist(), "score": asdict(score)}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.file, kept)
        self.tell.metric(f"validation {figure.title}", step, score.value)
        self.tell.record({"key": f"score {step}", "score": asdict(score)})


def judged(figure: Figure, step: int, values: Sample, base: Array | None, same_words: str, seconds: float) -> Score:
    """The figure of the step's rows with its interval, and its difference from the base in words."""
    bounds = (figure.low, figure.high)
    found = interval(values, bounds=bounds)
    value, low, high = (0.0 if one is None else one for one in (found.value, found.low, found.high))
    name = f"step {step:,}" if step else "the base"
    words = f"{name} has {value:.3f} {figure.title}, 95 % interval {low:.3f} to {high:.3f}, n = {found.n:,}."
    worse = False
    if base is not None:
        comparison = compare(Sample(base, proportion=values.proportion), values, bounds=bounds)
        words = verdict("the base", name, figure, comparison)
        worse = comparison.p_randomisation < 0.05 and comparison.high < 0
    return Score(
        step, figure.title, value, low, high, found.n, words[0].upper() + words[1:], worse, same_words, seconds
    )


def same(texts: Sequence[str], wanted: Sequence[str]) -> str:
    """A sentence where all completions are equal and what is wanted is not."""
    if len(texts) < 2 or len(set(texts)) > 1 or len(set(wanted)) == 1:
        return ""
    shown = f"{texts[0][:60]!r}" if texts[0] else "empty"
    return f"All {len(texts)} completions are the same ({shown}), whatever the prompt."


def summary(out: Path, step: int | None) -> dict[str, Any]:
    """{"score", "base", "scoring_seconds"} of a run whose best checkpoint is that of `step`; {} where none was scored.

    `score` and `base` are fields of `Score`.
    """
    kept = _kept(out / FILE)
    best = kept.get(str(step))
    if best is None:
        return {}
    base = kept["0"]["score"] if "0" in kept else None
    return {
        "score": best["score"],
        "base": base,
        "scoring_seconds": sum(one["score"]["seconds"] for one in kept.values()),
    }


def completions(work: TrainingInputs, module: Any, tokenizer: Any, items: Sequence[Item]) -> list[str]:
    """What the module writes for the items' prompts, greedily."""
    from genai_lab.training.samples import ALONE, generated

    prompts, room = [item.last_answer()[0] for item in items], _room(items)
    if work.plan.method in ALONE or work.training.sharding != "none":
        return [text.strip() for text in generated(work, module, tokenizer, prompts, room)]
    from genai_lab.decoding.greedy import greedy
    from genai_lab.models.transformers import context_of
    from genai_lab.training.loading import ends_of, start_of

    base = module.get_base_model() if hasattr(module, "get_base_model") else module
    seq2seq = work.architecture == "encoder-decoder"
    begun = [start_of(base.config) or 0] if seq2seq else []
    rooms = [room if seq2seq else min(room, context_of(base, tokenizer) - len(one)) for one in prompts]
    written = greedy(base, prompts, begun, rooms, ends_of(base, tokenizer))
    return [decoded(tokenizer, ids) for ids in written]


def decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=True)).strip()


def _room(items: Sequence[Item]) -> int:
    """New tokens that a completion may have: some more than the longest one that is wanted."""
    return min(LONGEST, max(len(item.last_answer()[1]) for item in items) + BEYOND)


def _kept(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text())) if file.is_file() else {}
