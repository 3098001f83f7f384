"""Simulated annotators of known skill, for checking that statistics find what was put in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genai_lab.feedback.bradley_terry import Ballot

Groups = list[list[int]]


@dataclass(frozen=True)
class SimulatedAnnotator:
    """`skill` scales the strengths (0 guesses, 1 draws from the model), `side` is added to what is shown first (in
    log-strength), `tie` is Davidson's tie parameter as a factor, 0 for somebody who never ties.
    """

    skill: float = 1.0
    side: float = 0.0
    tie: float = 0.5


def ballot(strengths: Sequence[float], votes: int, people: Sequence[SimulatedAnnotator], seed: int = 0) -> Ballot:
    """Votes of these annotators by turns on random pairs of systems."""
    draw = np.random.default_rng(seed)
    size = len(strengths)
    first = draw.integers(0, size, votes)
    second = (first + draw.integers(1, size, votes)) % size
    true = np.asarray(strengths)
    who = np.arange(votes) % len(people)
    skill, side, tie = (
        np.array([getattr(person, name) for person in people])[who] for name in ("skill", "side", "tie")
    )
    gap = skill * (true[first] - true[second]) + side
    up, down = np.exp(gap / 2), np.exp(-gap / 2)
    total_odds = up + down + tie
    uniform = draw.random(votes)
    outcome = np.where(uniform < up / total_odds, 1, np.where(uniform < (up + down) / total_odds, -1, 0))
    return Ballot(first, second, outcome.astype(np.int64), np.ones(votes))


def ranking(strengths: Sequence[float], person: SimulatedAnnotator, draw: np.random.Generator) -> list[int]:
    """An order of all candidates, the best first (Plackett-Luce, drawn by Gumbel noise); the first shown may lead."""
    noise = draw.gumbel(size=len(strengths))
    side = person.side * np.linspace(1, 0, len(strengths))
    value = person.skill * np.asarray(strengths) + side + noise
    return [int(index) for index in np.argsort(-value)]


def labels(truth: NDArray[np.int64], accuracy: Sequence[float], categories: int, seed: int) -> NDArray[np.int64]:
    """(items, annotators) for a truth of (items,): each says it with their accuracy, else something else at random."""
    draw, items = np.random.default_rng(seed), len(truth)
    votes = np.empty((items, len(accuracy)), dtype=np.int64)
    for column, right in enumerate(accuracy):
        wrong = (truth + draw.integers(1, categories, items)) % categories
        votes[:, column] = np.where(draw.random(items) < right, truth, wrong)
    return votes
