"""How a reward model does on pairs that it has not seen: accuracy with intervals, baselines, calibration, errors."""

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from genai_lab.evaluation.statistics import Interval, compare, interval, wilson
from genai_lab.metrics import Array, Sample
from genai_lab.metrics.tokenizing import UNSPACED
from genai_lab.models.scorer import PromptLike
from genai_lab.training.plan import TrainingPlan
from genai_lab.training.preference_data import PreferenceSettings, Vote, divide_votes, votes_to_learn
from genai_lab.training.row_source import RowSource

MOST_HELD = 5000
WORST = 20
BINS = 10
BARS = 24
FEWEST_TOLD = 5
SHARE = (0.0, 1.0)


class RewardScorer(Protocol):
    """A reward model, or the implicit reward of a policy."""

    def rewards(self, prompts: Sequence[PromptLike], completions: Sequence[str]) -> Sequence[float]: ...


def report(
    plan: TrainingPlan, settings: PreferenceSettings, sources: Sequence[RowSource], model: RewardScorer
) -> dict[str, Any]:
    """The report of a run's rewards on the held-out pairs of its plan, as plain numbers for JSON.

    Accuracies are shares of pairs, ties one half, with 95 % intervals from a bootstrap over prompts; `pairs` keeps
    [part, row, margin] of each held-out pair, so that runs can be compared on the same ones. Raises LabError.
    """
    learned: list[Vote] = []
    held_out: list[tuple[int, Vote]] = []
    for number, source in enumerate(sources):
        division = divide_votes(source, plan)
        learned += votes_to_learn(source, plan, settings, division.train)
        held_out += [(number, vote) for vote in division.held]
    if len(held_out) > MOST_HELD:
        held_out = sorted(
            random.Random(f"report {plan.training.seed}").sample(held_out, MOST_HELD), key=lambda one: one[1].row
        )
    tested = [one for _, one in held_out]
    scores = _scores(model, tested)
    return measure_scorer(learned, tested, *scores, seed=plan.training.seed) | {
        "pairs": [
            [index, one.row, round(float(a - b), 6)] for (index, one), a, b in zip(held_out, *scores, strict=True)
        ]
    }


def measure_scorer(
    learned: Sequence[Vote], held_out: Sequence[Vote], chosen_scores: Array, rejected_scores: Array, *, seed: int = 0
) -> dict[str, Any]:
    """The report's figures from the scores (N,) of both sides of the held-out pairs."""
    margins = chosen_scores - rejected_scores
    longer = np.array([len(vote.chosen) - len(vote.rejected) for vote in held_out], dtype=float)
    bag = bag_of_words(learned, held_out, seed)
    accuracy = clustered_accuracy(held_out, right(margins))
    simple = {"longer completion wins": right(longer), "bag of words": right(bag)}
    baselines = {name: _fields(clustered_accuracy(held_out, vote)) for name, vote in simple.items()}
    low, high = wilson(0.5, len(held_out))
    baselines["random"] = {"value": 0.5, "low": low, "high": high, "n": len(held_out)}
    return {
        "n": len(held_out),
        "prompts": len({vote.prompt for vote in held_out}),
        "training_pairs": len(learned),
        "accuracy": _fields(accuracy),
        "baselines": baselines,
        "sentences": _sentences(held_out, accuracy, right(margins), simple),
        "by_annotator": _by(held_out, margins, lambda vote: vote.annotator),
        "by_criterion": _by(held_out, margins, lambda vote: vote.criterion),
        "calibration": calibration(margins, seed),
        "scores": _histogram(chosen_scores, rejected_scores),
        "length": _with_length(held_out, chosen_scores, rejected_scores, margins, longer),
        "worst": _worst(held_out, chosen_scores, rejected_scores),
    }


def right(margins: Array) -> Array:
    """1 where the chosen side leads, 0 where the other does, 0.5 at a tie; (N,)."""
    return np.where(margins > 0, 1.0, np.where(margins < 0, 0.0, 0.5))


def clustered_accuracy(held_out: Sequence[Vote], hits: Array) -> Interval:
    """The mean of `hits` (N,) over pairs with a 95 % interval from a bootstrap over prompts."""
    result = interval(_by_prompt(held_out, hits), bounds=SHARE)
    return Interval(result.value, result.low, result.high, len(hits))


def compare_accuracies(held_out: Sequence[Vote], first: Array, second: Array) -> dict[str, Any]:
    """How much higher the mean of `second` (N,) is than that of `first`, resampled over prompts together."""
    comparison = compare(_by_prompt(held_out, first), _by_prompt(held_out, second), bounds=SHARE)
    return {
        "difference": comparison.difference,
        "low": comparison.low,
        "high": comparison.high,
        "p": comparison.p_randomisation,
    }


def bag_of_words(learned: Sequence[Vote], held_out: Sequence[Vote], seed: int = 0) -> Array:
    """Margins (N,) of a logistic regression on differences of TF-IDF of words and pairs of words.

    It learns from the same training pairs, each turned to a side drawn with the seed; 0 where there is nothing to
    learn from.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    if len(learned) < 2:
        return np.zeros(len(held_out))
    pattern = rf"(?u)[{UNSPACED}]|[^\W{UNSPACED}]+|[^\w\s]"
    vectors = TfidfVectorizer(ngram_range=(1, 2), token_pattern=pattern, sublinear_tf=True)
    try:
        vectors.fit([text for vote in learned for text in (vote.chosen, vote.rejected)])
    except ValueError:  # no words at all
        return np.zeros(len(held_out))

    def differences(votes: Sequence[Vote]) -> Any:
        return vectors.transform([vote.chosen for vote in votes]) - vectors.transform([vote.rejected for vote in votes])

    sides = np.random.default_rng(seed).permutation(np.arange(len(learned)) % 2) * 2 - 1
    model = LogisticRegression(C=10.0, fit_intercept=False, max_iter=1000)
    weights = np.array([max(vote.weight, 0.0) for vote in learned])
    if not weights.sum():
        return np.zeros(len(held_out))
    model.fit(differences(learned).multiply(sides[:, None]).tocsr(), sides, sample_weight=weights)
    return np.asarray(model.decision_function(differences(held_out)), dtype=float)


def calibration(margins: Array, seed: int = 0) -> dict[str, Any]:
    """Reliability of sigmoid(margin) as the probability of the first side, which is drawn with the seed.

    `bins` are [mean probability, share of firsts that were chosen, pairs]; `ece` is the expected calibration error
    (Guo et al., 2017, eq. 3).
    """
    turned = np.random.default_rng(seed).integers(0, 2, len(margins)) * 2 - 1
    shares = 1 / (1 + np.exp(-np.clip(turned * margins, -500, 500)))
    first = (turned > 0).astype(float)
    indices = np.minimum((shares * BINS).astype(int), BINS - 1)
    bins, error = [], 0.0
    for index in range(BINS):
        in_bin = indices == index
        count = int(in_bin.sum())
        if count:
            predicted, observed = float(shares[in_bin].mean()), float(first[in_bin].mean())
            bins.append([predicted, observed, count])
            error += count / len(margins) * abs(predicted - observed)
    return {"bins": bins, "ece": error}


def _scores(model: RewardScorer, held_out: Sequence[Vote]) -> tuple[Array, Array]:
    """Scores (N,) of the chosen and of the rejected completions; what stands there twice is read once."""
    prompts: dict[str, PromptLike] = {vote.prompt: vote.messages for vote in held_out}
    questions = list(dict.fromkeys((vote.prompt, text) for vote in held_out for text in (vote.chosen, vote.rejected)))
    scores = dict(
        zip(questions, model.rewards([prompts[p] for p, _ in questions], [c for _, c in questions]), strict=True)
    )
    chosen_scores = np.array([scores[vote.prompt, vote.chosen] for vote in held_out], dtype=float)
    return chosen_scores, np.array([scores[vote.prompt, vote.rejected] for vote in held_out], dtype=float)


def _by_prompt(held_out: Sequence[Vote], hits: Array) -> Sample:
    """Sums and counts of each prompt, so that prompts are resampled and pairs counted."""
    prompts = {prompt: index for index, prompt in enumerate(dict.fromkeys(vote.prompt for vote in held_out))}
    parts = np.zeros((len(prompts), 2))
    for vote, hit in zip(held_out, hits, strict=True):
        parts[prompts[vote.prompt]] += (hit, 1.0)
    return Sample(parts, combine=lambda sums: sums[:, 0] / sums[:, 1])


def _sentences(held_out: Sequence[Vote], accuracy: Interval, hits: Array, simple: dict[str, Array]) -> list[str]:
    sentences = []
    value, low, high = accuracy.value or 0.0, accuracy.low or 0.0, accuracy.high or 0.0
    if low <= 0.5 <= high:
        sentences.append(
            f"The accuracy cannot be distinguished from chance: its interval, {low:.2f} to {high:.2f}, contains 0.5."
        )
    for name, baseline in simple.items():
        comparison = compare_accuracies(held_out, hits, baseline)
        if baseline.mean() > hits.mean():
            sure = (
                "and the difference is significant"
                if comparison["low"] > 0
                else "though the difference is not significant"
            )
            sentences.append(
                f"A simple baseline, {name}, is better: {baseline.mean():.2f} against {value:.2f}, {sure}."
            )
    return sentences


def _by(held_out: Sequence[Vote], margins: Array, key: Callable[[Vote], str]) -> dict[str, Any]:
    groups: dict[str, list[int]] = defaultdict(list)
    for index, vote in enumerate(held_out):
        if key(vote):
            groups[key(vote)].append(index)
    return {
        name: _fields(clustered_accuracy([held_out[index] for index in indices], right(margins[indices])))
        for name, indices in sorted(groups.items())
    }


def _histogram(chosen_scores: Array, rejected_scores: Array) -> dict[str, Any]:
    """Counts of both sides in the same bars."""
    edges = np.histogram_bin_edges(np.concatenate((chosen_scores, rejected_scores)), BARS)
    counts = [np.histogram(scores, edges)[0].tolist() for scores in (chosen_scores, rejected_scores)]
    return {"edges": edges.tolist(), "chosen": counts[0], "rejected": counts[1]}


def _with_length(
    held_out: Sequence[Vote], chosen_scores: Array, rejected_scores: Array, margins: Array, longer: Array
) -> dict[str, float | None]:
    """Spearman's rank correlations with the length in characters: of scores, and of margins with its difference."""
    sizes = [len(vote.chosen) for vote in held_out] + [len(vote.rejected) for vote in held_out]
    return {
        "score": _spearman(np.concatenate((chosen_scores, rejected_scores)), np.array(sizes, dtype=float)),
        "margin": _spearman(margins, longer),
    }


def _spearman(a: Array, b: Array) -> float | None:
    from scipy.stats import spearmanr

    if len(a) < FEWEST_TOLD or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(spearmanr(a, b).statistic)


def _worst(held_out: Sequence[Vote], chosen_scores: Array, rejected_scores: Array) -> list[dict[str, Any]]:
    """The pairs whose rejected side leads by most."""
    order = np.argsort(chosen_scores - rejected_scores, kind="stable")[:WORST]
    return [
        {
            **{name: getattr(held_out[index], name) for name in ("row", "prompt", "chosen", "rejected", "annotator")},
            "chosen_score": float(chosen_scores[index]),
            "rejected_score": float(rejected_scores[index]),
        }
        for index in order.tolist()
        if chosen_scores[index] <= rejected_scores[index]
    ]


def _fields(result: Interval) -> dict[str, Any]:
    return {"value": result.value, "low": result.low, "high": result.high, "n": result.n}
