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
from genai_lab.training.plan import Plan
from genai_lab.training.preference_data import PreferenceSettings, Vote, divide_votes, votes_to_learn
from genai_lab.training.row_source import RowSource

MOST_HELD = 5000
WORST = 20
BINS = 10
BARS = 24
FEWEST_TOLD = 5
SHARE = (0.0, 1.0)


class Scorer(Protocol):
    """A reward model, or the implicit reward of a policy."""

    def rewards(self, prompts: Sequence[PromptLike], completions: Sequence[str]) -> Sequence[float]: ...


def report(plan: Plan, settings: PreferenceSettings, sources: Sequence[RowSource], model: Scorer) -> dict[str, Any]:
    """The report of a run's rewards on the held-out pairs of its plan, as plain numbers for JSON.

    Accuracies are shares of pairs, ties one half, with 95 % intervals from a bootstrap over prompts; `pairs` keeps
    [part, row, margin] of each held-out pair, so that runs can be compared on the same ones. Raises LabError.
    """
    learned: list[Vote] = []
    held: list[tuple[int, Vote]] = []
    for number, source in enumerate(sources):
        division = divide_votes(source, plan)
        learned += votes_to_learn(source, plan, settings, division.train)
        held += [(number, vote) for vote in division.held]
    if len(held) > MOST_HELD:
        held = sorted(random.Random(f"report {plan.training.seed}").sample(held, MOST_HELD), key=lambda one: one[1].row)
    tested = [one for _, one in held]
    scores = _scores(model, tested)
    return measured(learned, tested, *scores, seed=plan.training.seed) | {
        "pairs": [[place, one.row, round(float(a - b), 6)] for (place, one), a, b in zip(held, *scores, strict=True)]
    }


def measured(
    learned: Sequence[Vote], held: Sequence[Vote], chosen: Array, rejected: Array, *, seed: int = 0
) -> dict[str, Any]:
    """The report's figures from the scores (N,) of both sides of the held-out pairs."""
    margins = chosen - rejected
    longer = np.array([len(one.chosen) - len(one.rejected) for one in held], dtype=float)
    words = bag_of_words(learned, held, seed)
    accuracy = clustered(held, right(margins))
    simple = {"longer completion wins": right(longer), "bag of words": right(words)}
    baselines = {name: _kept(clustered(held, one)) for name, one in simple.items()}
    low, high = wilson(0.5, len(held))
    baselines["random"] = {"value": 0.5, "low": low, "high": high, "n": len(held)}
    return {
        "n": len(held),
        "prompts": len({one.prompt for one in held}),
        "training_pairs": len(learned),
        "accuracy": _kept(accuracy),
        "baselines": baselines,
        "sentences": _sentences(held, accuracy, right(margins), simple),
        "by_annotator": _by(held, margins, lambda one: one.annotator),
        "by_criterion": _by(held, margins, lambda one: one.criterion),
        "calibration": calibration(margins, seed),
        "scores": _histogram(chosen, rejected),
        "length": _with_length(held, chosen, rejected, margins, longer),
        "worst": _worst(held, chosen, rejected),
    }


def right(margins: Array) -> Array:
    """1 where the chosen side leads, 0 where the other does, 0.5 at a tie; (N,)."""
    return np.where(margins > 0, 1.0, np.where(margins < 0, 0.0, 0.5))


def clustered(held: Sequence[Vote], hits: Array) -> Interval:
    """The mean of `hits` (N,) over pairs with a 95 % interval from a bootstrap over prompts."""
    found = interval(_by_prompt(held, hits), bounds=SHARE)
    return Interval(found.value, found.low, found.high, len(hits))


def paired(held: Sequence[Vote], first: Array, second: Array) -> dict[str, Any]:
    """How much higher the mean of `second` (N,) is than that of `first`, resampled over prompts together."""
    found = compare(_by_prompt(held, first), _by_prompt(held, second), bounds=SHARE)
    return {"difference": found.difference, "low": found.low, "high": found.high, "p": found.p_randomisation}


def bag_of_words(learned: Sequence[Vote], held: Sequence[Vote], seed: int = 0) -> Array:
    """Margins (N,) of a logistic regression on differences of TF-IDF of words and pairs of words.

    It learns from the same training pairs, each turned to a side drawn with the seed; 0 where there is nothing to
    learn from.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    if len(learned) < 2:
        return np.zeros(len(held))
    pattern = rf"(?u)[{UNSPACED}]|[^\W{UNSPACED}]+|[^\w\s]"
    vectors = TfidfVectorizer(ngram_range=(1, 2), token_pattern=pattern, sublinear_tf=True)
    try:
        vectors.fit([text for one in learned for text in (one.chosen, one.rejected)])
    except ValueError:  # no words at all
        return np.zeros(len(held))

    def differences(votes: Sequence[Vote]) -> Any:
        return vectors.transform([one.chosen for one in votes]) - vectors.transform([one.rejected for one in votes])

    sides = np.random.default_rng(seed).permutation(np.arange(len(learned)) % 2) * 2 - 1
    model = LogisticRegression(C=10.0, fit_intercept=False, max_iter=1000)
    weights = np.array([max(one.weight, 0.0) for one in learned])
    if not weights.sum():
        return np.zeros(len(held))
    model.fit(differences(learned).multiply(sides[:, None]).tocsr(), sides, sample_weight=weights)
    return np.asarray(model.decision_function(differences(held)), dtype=float)


def calibration(margins: Array, seed: int = 0) -> dict[str, Any]:
    """Reliability of sigmoid(margin) as the probability of the first side, which is drawn with the seed.

    `bins` are [mean probability, share of firsts that were chosen, pairs]; `ece` is the expected calibration error
    (Guo et al., 2017, eq. 3).
    """
    turned = np.random.default_rng(seed).integers(0, 2, len(margins)) * 2 - 1
    shares = 1 / (1 + np.exp(-np.clip(turned * margins, -500, 500)))
    first = (turned > 0).astype(float)
    places = np.minimum((shares * BINS).astype(int), BINS - 1)
    bins, error = [], 0.0
    for place in range(BINS):
        own = places == place
        count = int(own.sum())
        if count:
            said, was = float(shares[own].mean()), float(first[own].mean())
            bins.append([said, was, count])
            error += count / len(margins) * abs(said - was)
    return {"bins": bins, "ece": error}


def _scores(model: Scorer, held: Sequence[Vote]) -> tuple[Array, Array]:
    """Scores (N,) of the chosen and of the rejected completions; what stands there twice is read once."""
    prompts: dict[str, PromptLike] = {one.prompt: one.messages for one in held}
    asked = list(dict.fromkeys((one.prompt, text) for one in held for text in (one.chosen, one.rejected)))
    found = dict(zip(asked, model.rewards([prompts[p] for p, _ in asked], [c for _, c in asked]), strict=True))
    chosen = np.array([found[one.prompt, one.chosen] for one in held], dtype=float)
    return chosen, np.array([found[one.prompt, one.rejected] for one in held], dtype=float)


def _by_prompt(held: Sequence[Vote], hits: Array) -> Sample:
    """Sums and counts of each prompt, so that prompts are resampled and pairs counted."""
    prompts = {prompt: place for place, prompt in enumerate(dict.fromkeys(one.prompt for one in held))}
    parts = np.zeros((len(prompts), 2))
    for one, hit in zip(held, hits, strict=True):
        parts[prompts[one.prompt]] += (hit, 1.0)
    return Sample(parts, combine=lambda sums: sums[:, 0] / sums[:, 1])


def _sentences(held: Sequence[Vote], accuracy: Interval, hits: Array, simple: dict[str, Array]) -> list[str]:
    told = []
    value, low, high = accuracy.value or 0.0, accuracy.low or 0.0, accuracy.high or 0.0
    if low <= 0.5 <= high:
        told.append(f"The accuracy is not told from chance: its interval, {low:.2f} to {high:.2f}, contains 0.5.")
    for name, own in simple.items():
        found = paired(held, hits, own)
        if own.mean() > hits.mean():
            sure = "and the difference is told" if found["low"] > 0 else "though the difference is not told from chance"
            told.append(f"A simple baseline, {name}, is better: {own.mean():.2f} against {value:.2f}, {sure}.")
    return told


def _by(held: Sequence[Vote], margins: Array, key: Callable[[Vote], str]) -> dict[str, Any]:
    groups: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(held):
        if key(one):
            groups[key(one)].append(place)
    return {
        name: _kept(clustered([held[place] for place in places], right(margins[places])))
        for name, places in sorted(groups.items())
    }


def _histogram(chosen: Array, rejected: Array) -> dict[str, Any]:
    """Counts of both sides in the same bars."""
    edges = np.histogram_bin_edges(np.concatenate((chosen, rejected)), BARS)
    counts = [np.histogram(one, edges)[0].tolist() for one in (chosen, rejected)]
    return {"edges": edges.tolist(), "chosen": counts[0], "rejected": counts[1]}


def _with_length(
    held: Sequence[Vote], chosen: Array, rejected: Array, margins: Array, longer: Array
) -> dict[str, float | None]:
    """Spearman's rank correlations with the length in characters: of scores, and of margins with its difference."""
    sizes = [len(one.chosen) for one in held] + [len(one.rejected) for one in held]
    return {
        "score": _spearman(np.concatenate((chosen, rejected)), np.array(sizes, dtype=float)),
        "margin": _spearman(margins, longer),
    }


def _spearman(a: Array, b: Array) -> float | None:
    from scipy.stats import spearmanr

    if len(a) < FEWEST_TOLD or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(spearmanr(a, b).statistic)


def _worst(held: Sequence[Vote], chosen: Array, rejected: Array) -> list[dict[str, Any]]:
    """The pairs whose rejected side leads by most."""
    order = np.argsort(chosen - rejected, kind="stable")[:WORST]
    return [
        {
            **{name: getattr(held[place], name) for name in ("row", "prompt", "chosen", "rejected", "annotator")},
            "chosen_score": float(chosen[place]),
            "rejected_score": float(rejected[place]),
        }
        for place in order.tolist()
        if chosen[place] <= rejected[place]
    ]


def _kept(found: Interval) -> dict[str, Any]:
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
