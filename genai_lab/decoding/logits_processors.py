"""Filters on next-token logits, in the order in which transformers applies them, and the draw itself.

Each filter takes logits (B, V) of any scale, with removed tokens at -inf, and returns new ones. The trace and the
microscope read the same functions, so what is shown is what was done.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from genai_lab.decoding import Sampling

History = Sequence[int]
HEAD = 256
# How many more than k tokens a shortlist has, so that the last one shows whether others tie with the k-th.
SPARE = 14
# Logits below which making a shortlist takes longer than it saves.
WORTH_IT = 10_000
Apply = Callable[[torch.Tensor, Sequence[Sampling], Sequence[History]], torch.Tensor]


@dataclass(frozen=True)
class LogitsProcessor:
    name: str
    active: Callable[[Sampling], bool]
    apply: Apply


def repetition_penalty(logits: torch.Tensor, samplings: Sequence[Sampling], past: Sequence[History]) -> torch.Tensor:
    """Divides positive and multiplies negative logits of seen tokens by the penalty (Keskar et al., 2019, eq. 2)."""
    logits = logits.clone()
    for row, (sampling, history) in enumerate(zip(samplings, past, strict=True)):
        if history:
            token_ids = torch.tensor(sorted(set(history)), device=logits.device)
            scores = logits[row, token_ids]
            penalty = sampling.repetition_penalty
            logits[row, token_ids] = torch.where(scores < 0, scores * penalty, scores / penalty)
    return logits


def no_repeat_ngram(logits: torch.Tensor, samplings: Sequence[Sampling], past: Sequence[History]) -> torch.Tensor:
    """Removes tokens that would repeat a run of n tokens."""
    logits = logits.clone()
    for row, (sampling, history) in enumerate(zip(samplings, past, strict=True)):
        size = sampling.no_repeat_ngram_size
        ids = list(history)
        if len(ids) + 1 < size:
            continue
        end = ids[len(ids) - size + 1 :]
        runs = range(len(ids) - size + 1)
        banned = sorted({ids[i + size - 1] for i in runs if ids[i : i + size - 1] == end})
        if banned:
            logits[row, banned] = -torch.inf
    return logits


def temperature(logits: torch.Tensor, samplings: Sequence[Sampling], past: Sequence[History]) -> torch.Tensor:
    return logits / _like(logits, [s.temperature for s in samplings])


def top_k(logits: torch.Tensor, samplings: Sequence[Sampling], past: Sequence[History]) -> torch.Tensor:
    """Keeps the k most probable tokens (Fan et al., 2018), and those that tie with the last of them."""
    sizes = [min(s.top_k, logits.shape[-1]) for s in samplings]
    best = logits.topk(max(sizes), dim=-1).values
    last = best.gather(1, _column(tuple(sizes), torch.long, logits.device) - 1)
    return logits.masked_fill(logits < last, -torch.inf)


def top_p(logits: torch.Tensor, samplings: Sequence[Sampling], past: Sequence[History]) -> torch.Tensor:
    """Keeps the smallest set with mass of at least p (Holtzman et al., 2020, section 3.1); at least one token."""
    limit = _like(logits, [s.top_p for s in samplings])
    probabilities, vocabulary = logits.softmax(-1), logits.shape[-1]
    # Sorting the whole vocabulary costs more than the forward pass of a small model; a head nearly always suffices.
    for size in (HEAD, vocabulary):
        shares, places = probabilities.topk(min(size, vocabulary), dim=-1)
        drop = shares.cumsum(-1) - shares >= limit
        if size >= vocabulary or bool(drop[:, -1].all()):
            break
    return logits.masked_fill(torch.ones_like(logits, dtype=torch.bool).scatter_(1, places, drop), -torch.inf)


def min_p(logits: torch.Tensor, samplings: Sequence[Sampling], past: Sequence[History]) -> torch.Tensor:
    """Removes tokens less probable than a share of the best one (Nguyen et al., 2024, section 3)."""
    probabilities = logits.softmax(-1)
    least = probabilities.amax(-1, keepdim=True) * _like(logits, [s.min_p for s in samplings])
    return logits.masked_fill(probabilities < least, -torch.inf)


def typical_p(logits: torch.Tensor, samplings: Sequence[Sampling], past: Sequence[History]) -> torch.Tensor:
    """Keeps tokens whose surprise is nearest to the entropy, up to mass p (Meister et al., 2023, eq. 11)."""
    log_p = logits.log_softmax(-1)
    p = log_p.exp()
    entropy = -(log_p * p).nansum(-1, keepdim=True)
    distance, places = (-log_p - entropy).abs().sort(descending=False, dim=-1)
    mass = p.gather(1, places).cumsum(-1)
    last = (mass < _like(logits, [s.typical_p for s in samplings])).sum(-1).clamp(max=mass.shape[-1] - 1)
    remove = distance > distance.gather(1, last[:, None])
    return logits.masked_fill(torch.zeros_like(remove).scatter(1, places, remove), -torch.inf)


FILTERS = (
    LogitsProcessor("repetition penalty", lambda s: s.repetition_penalty != 1, repetition_penalty),
    LogitsProcessor("no-repeat n-gram", lambda s: s.no_repeat_ngram_size > 0, no_repeat_ngram),
    LogitsProcessor("temperature", lambda s: not s.greedy and s.temperature != 1, temperature),
    LogitsProcessor("top-k", lambda s: not s.greedy and s.top_k > 0, top_k),
    LogitsProcessor("top-p", lambda s: not s.greedy and s.top_p < 1, top_p),
    LogitsProcessor("min-p", lambda s: not s.greedy and s.min_p > 0, min_p),
    LogitsProcessor("typical-p", lambda s: not s.greedy and s.typical_p < 1, typical_p),
)
# The first ones look at which token a logit belongs to or at all of them; from top-k on a shortlist will do.
WHOLE, SHORT = FILTERS[:3], FILTERS[3:]


def active_filters(sampling: Sampling) -> list[LogitsProcessor]:
    return [item for item in FILTERS if item.active(sampling)]


def apply_processors(
    logits: torch.Tensor,
    samplings: Sequence[Sampling],
    past: Sequence[History],
    after: Callable[[str, list[int], torch.Tensor], None] | None = None,
    filters: Sequence[LogitsProcessor] = FILTERS,
) -> torch.Tensor:
    """`filters` on logits (B, V), each on the rows that use it.

    `after` is told each one's name, its rows and their new logits.
    """
    for item in filters:
        rows = [row for row, sampling in enumerate(samplings) if item.active(sampling)]
        if not rows:
            continue
        if len(rows) == len(samplings):
            logits = part = item.apply(logits, samplings, past)
        else:
            part = item.apply(logits[rows], [samplings[r] for r in rows], [past[r] for r in rows])
            logits = logits.index_copy(0, torch.tensor(rows, device=logits.device), part)
        if after:
            after(item.name, rows, part)
    return logits


def topk_prefilter(logits: torch.Tensor, samplings: Sequence[Sampling]) -> torch.Tensor | None:
    """Ids (B, N), ascending, of all tokens that top-k can keep; None where that is no short list.

    The filters from top-k on and the draw give the same on logits (B, N) as on the vocabulary, in less time.
    """
    sizes = [0 if s.greedy else s.top_k for s in samplings]
    most = max(sizes) + SPARE
    if not all(sizes) or most >= logits.shape[-1] or logits.numel() < WORTH_IT:
        return None
    ids = _largest(logits, most).sort(-1).values
    ranked = logits.gather(1, ids).sort(-1, descending=True).values
    last = ranked.gather(1, _column(tuple(sizes), torch.long, logits.device) - 1)
    return None if bool((ranked[:, -1:] >= last).any()) else ids


def draw(logits: torch.Tensor, uniforms: Sequence[float]) -> tuple[torch.Tensor, torch.Tensor]:
    """Places (B, 1) and their probabilities (B, 1) by the inverse of the cumulative distribution, in float64.

    One uniform number a row: what else is in the batch cannot change the draw, save through rounding of the logits.
    """
    shares = logits.double().softmax(-1)
    mass = shares.cumsum(-1)
    points = torch.tensor(uniforms, dtype=torch.float64, device=logits.device)[:, None] * mass[:, -1:]
    places = torch.searchsorted(mass, points, right=True).clamp_(max=logits.shape[-1] - 1)
    return places, shares.gather(1, places)


def _largest(logits: torch.Tensor, count: int) -> torch.Tensor:
    """Ids (B, count) of the largest logits, in any order."""
    if logits.device.type != "cpu":
        return logits.topk(count, dim=-1, sorted=False).indices
    # A fourth of the time of torch's on a CPU.
    return torch.from_numpy(np.argpartition(logits.numpy(), -count, axis=-1)[:, -count:])


def _like(logits: torch.Tensor, values: list[float]) -> torch.Tensor:
    return _column(tuple(values), logits.dtype, logits.device)


@lru_cache(maxsize=256)
def _column(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """(B, 1); the same settings come at every step, and making a tensor of them costs more than using it."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)[:, None]
