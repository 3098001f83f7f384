"""The logits processors for one distribution in NumPy, where torch need not be loaded.

The same names, order and rules as in `logits_processors`, which a test compares; the formulas are cited there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genai_lab.decoding.settings import Sampling

Array = NDArray[np.float64]


@dataclass(frozen=True)
class StageResult:
    """`log_probabilities` (V,) float64 after the processor, -inf where removed; `removed` by this processor."""

    filter: str
    log_probabilities: Array
    removed: int


def processor_stages(logits: NDArray[Any], history: Sequence[int], sampling: Sampling) -> list[StageResult]:
    """One distribution (V,) as it passes the active processors; the first stage, "model", is the unprocessed one."""
    current = np.asarray(logits, dtype=np.float64)
    stages = [StageResult("model", log_softmax(current), 0)]
    for name, active, process in PROCESSORS:
        if active(sampling):
            before = int(np.isneginf(current).sum())
            current = process(current, sampling, history)
            stages.append(StageResult(name, log_softmax(current), int(np.isneginf(current).sum()) - before))
    return stages


def log_softmax(logits: Array) -> Array:
    with np.errstate(divide="ignore"):
        shifted = logits - logits.max()
        normalised: Array = shifted - np.log(np.exp(shifted).sum())
    return normalised


def repetition_penalty(logits: Array, sampling: Sampling, history: Sequence[int]) -> Array:
    logits, token_ids = logits.copy(), sorted(set(history))
    scores, penalty = logits[token_ids], sampling.repetition_penalty
    logits[token_ids] = np.where(scores < 0, scores * penalty, scores / penalty)
    return logits


def no_repeat_ngram(logits: Array, sampling: Sampling, history: Sequence[int]) -> Array:
    size, ids = sampling.no_repeat_ngram_size, list(history)
    if len(ids) + 1 < size:
        return logits
    end = ids[len(ids) - size + 1 :]
    banned = {ids[i + size - 1] for i in range(len(ids) - size + 1) if ids[i : i + size - 1] == end}
    logits = logits.copy()
    logits[sorted(banned)] = -np.inf
    return logits


def temperature(logits: Array, sampling: Sampling, history: Sequence[int]) -> Array:
    return logits / sampling.temperature


def top_k(logits: Array, sampling: Sampling, history: Sequence[int]) -> Array:
    size = min(sampling.top_k, len(logits))
    return np.where(logits < np.partition(logits, -size)[-size], -np.inf, logits)


def top_p(logits: Array, sampling: Sampling, history: Sequence[int]) -> Array:
    order, shares = _ranked(np.exp(log_softmax(logits)), descending=True)
    logits = logits.copy()
    logits[order[shares.cumsum() - shares >= sampling.top_p]] = -np.inf
    return logits


def min_p(logits: Array, sampling: Sampling, history: Sequence[int]) -> Array:
    shares = np.exp(log_softmax(logits))
    return np.where(shares < shares.max() * sampling.min_p, -np.inf, logits)


def typical_p(logits: Array, sampling: Sampling, history: Sequence[int]) -> Array:
    log_shares = log_softmax(logits)
    shares = np.exp(log_shares)
    entropy = -float(np.sum(np.where(shares > 0, log_shares, 0) * shares))
    order, distances = _ranked(np.abs(-log_shares - entropy), descending=False)
    last = min(int((shares[order].cumsum() < sampling.typical_p).sum()), len(order) - 1)
    logits = logits.copy()
    logits[order[distances > distances[last]]] = -np.inf
    return logits


def _ranked(values: Array, descending: bool) -> tuple[NDArray[np.intp], Array]:
    order = np.argsort(-values if descending else values, kind="stable")
    return order, values[order]


Active = Callable[[Sampling], bool]
Process = Callable[[Array, Sampling, Sequence[int]], Array]
PROCESSORS: tuple[tuple[str, Active, Process], ...] = (
    ("repetition penalty", lambda s: s.repetition_penalty != 1, repetition_penalty),
    ("no-repeat n-gram", lambda s: s.no_repeat_ngram_size > 0, no_repeat_ngram),
    ("temperature", lambda s: not s.greedy and s.temperature != 1, temperature),
    ("top-k", lambda s: not s.greedy and s.top_k > 0, top_k),
    ("top-p", lambda s: not s.greedy and s.top_p < 1, top_p),
    ("min-p", lambda s: not s.greedy and s.min_p > 0, min_p),
    ("typical-p", lambda s: not s.greedy and s.typical_p < 1, typical_p),
)
