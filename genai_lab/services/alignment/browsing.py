"""Reading rollouts: in which order, which of them, their tokens with figures, the same prompt over the steps."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from genai_lab.alignment.records import ROLLOUTS, RolloutBatch, rollout_path
from genai_lab.alignment.token_texts import token_texts
from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.rewards.repetition import repeated_share
from genai_lab.services import models, training
from genai_lab.services.alignment.rollouts import folder, read, steps
from genai_lab.views import View

WORDS_IN_A_ROW = 3
FRAMES = 12  # of a film strip, the first and the last among them


@dataclass(frozen=True)
class Rollout(View):
    """One completion of a step. `index` is its place among them; `kl` in nats per completion; `parts` are its rewards
    before their weights; `repeated` is the share of its 3-grams of words that stood in it before.
    """

    index: int
    row: int
    prompt: str
    text: str
    score: float
    kl: float
    tokens: int
    ended: bool
    repeated: float
    parts: dict[str, float]


@dataclass(frozen=True)
class Frame(View):
    """What was written for one prompt at a step."""

    step: int
    rollouts: tuple[Rollout, ...]


@dataclass(frozen=True)
class TokenFigures(View):
    """The tokens of a completion with their figures, each a list of the same length: log p and reference log p in nats,
    their difference, exact KL and entropy in nats, advantage, and value and return where there is a value head.
    """

    texts: tuple[str, ...]
    ids: tuple[int, ...]
    figures: dict[str, list[float]]


NAMES = {
    "log_probs": "log p", "reference": "log p of the reference", "kl": "KL", "entropy": "entropy",
    "advantages": "advantage", "values": "value", "returns": "return",
}  # fmt: skip
LOG_RATIO = "log-ratio"
ORDERS: dict[str, Callable[[Rollout], float]] = {
    "as drawn": lambda rollout: rollout.index,
    "highest score": lambda rollout: -rollout.score,
    "lowest score": lambda rollout: rollout.score,
    "longest": lambda rollout: -rollout.tokens,
    "most KL": lambda rollout: -rollout.kl,
    "most repetitive": lambda rollout: -rollout.repeated,
}


def listed(batch: RolloutBatch, order: str = "as drawn", cut_only: bool = False) -> list[Rollout]:
    """The completions of a step in an order, or those of them alone that were cut by length."""
    if order not in ORDERS:
        raise LabError(f"There is no order {order[:40]!r}; choose one of {', '.join(ORDERS)}.")
    rollouts = [rollout for rollout in _all(batch) if not (cut_only and rollout.ended)]
    return sorted(rollouts, key=lambda rollout: (ORDERS[order](rollout), rollout.index))


def of_prompt(batch: RolloutBatch, index: int) -> list[Rollout]:
    """All completions of the prompt of this one."""
    if not 0 <= index < len(batch):
        raise LabError(f"Step {batch.step:,} has {len(batch):,} completions; there is none of the number {index:,}.")
    return [rollout for rollout in _all(batch) if batch.prompt_ids[rollout.index] == batch.prompt_ids[index]]


def film(lab: LabContext, run_id: int, batch: RolloutBatch, index: int, kind: str = ROLLOUTS) -> list[Frame]:
    """The completions of the same prompt at every step that has some, at most 12 steps spread evenly."""
    prompt, row = batch.prompt_ids[index], int(batch.rows[index])
    at, place = steps(lab, run_id, kind), folder(lab, run_id, kind)
    seen = [step for step in at if row in _rows_of(rollout_path(place, step))]
    frames = []
    for step in _spread(seen, batch.step):
        other = read(lab, run_id, step, kind)
        same = tuple(rollout for rollout in _all(other) if other.prompt_ids[rollout.index] == prompt)
        if same:
            frames.append(Frame(step, same))
    return frames


def tokens_of(lab: LabContext, run_id: int, batch: RolloutBatch, index: int) -> TokenFigures:
    """Raises LabError where the tokenizer of the run's base is gone."""
    plan = training.show(lab, run_id).plan
    path = models.show(lab, plan.model).card.path
    if path is None:
        raise LabError(f"The files of {plan.model} are gone, so that its completions cannot be cut into tokens.")
    figures = {NAMES[name]: batch.tokens_of(name, index).tolist() for name in NAMES if name in batch.figures}
    ratios = batch.tokens_of("log_probs", index) - batch.tokens_of("reference", index)
    figures[LOG_RATIO] = ratios.tolist()
    ids = batch.ids[index]
    return TokenFigures(tuple(token_texts(path, ids)), tuple(ids), figures)


def readable_prompt(prompt: str) -> str:
    """The prompt as it stands, or the turns of a chat a line each."""
    if not prompt.startswith('[{"role"'):
        return prompt
    try:
        turns = json.loads(prompt)
    except ValueError:
        return prompt
    return turns[0]["content"] if len(turns) == 1 else "\n".join(f"{turn['role']}: {turn['content']}" for turn in turns)


def _all(batch: RolloutBatch) -> list[Rollout]:
    kl, lengths = batch.kl, batch.lengths
    return [
        Rollout(
            index=index,
            row=int(batch.rows[index]),
            prompt=readable_prompt(batch.prompts[index]),
            text=text,
            score=float(batch.scores[index]),
            kl=float(kl[index]),
            tokens=int(lengths[index]),
            ended=bool(batch.ended[index]),
            repeated=repeated_share(text, WORDS_IN_A_ROW),
            parts=dict(zip(batch.labels, map(float, batch.parts[index]), strict=True)),
        )
        for index, text in enumerate(batch.texts)
    ]


@lru_cache(maxsize=5000)
def _rows_of(path: Path) -> frozenset[int]:
    """Which rows' prompts were completed; a file of a step never changes once it is there."""
    return frozenset(RolloutBatch.read(path).rows.tolist())


def _spread(at: Sequence[int], middle: int) -> list[int]:
    """At most FRAMES of the steps, evenly, with the first, the last and `middle`."""
    if len(at) <= FRAMES:
        return list(at)
    places = {round(n * (len(at) - 1) / (FRAMES - 2)) for n in range(FRAMES - 1)}
    return sorted({at[place] for place in places} | {middle})
