"""The next token of one row that nobody traces: the common filters on NumPy arrays.

At batch 1 a step of a small model takes little more than a millisecond, and the general way through some thirty tensor
operations a quarter of that. Same order, same random number, same token; what it does not know it leaves to `drawing`.
"""

from typing import Any

import numpy as np
import torch

from genai_lab.decoding import Sampling, Token


def knows(sampling: Sampling, logits: torch.Tensor) -> bool:
    """Whether the best token, or temperature, top-k and top-p, are all that these settings ask for, on a CPU."""
    plain = sampling.repetition_penalty == 1 and not sampling.no_repeat_ngram_size and logits.device.type == "cpu"
    return plain and (sampling.greedy or (not sampling.min_p and sampling.typical_p == 1))


def next_token(row: Any, logits: torch.Tensor, text: Any) -> Token:
    """The most probable token, or a draw from the row's own generator, from its logits (V,), float32."""
    model, sampling = logits.numpy(), row.sampling
    token, share = (int(model.argmax()), 1.0) if sampling.greedy else _drawn(model, sampling, row.uniform())
    top = model.max()
    logprob = float(model[token] - top) - float(np.log(np.exp(model - top).sum()))
    return Token(token, text(token), logprob, share)


def _drawn(model: Any, sampling: Sampling, uniform: float) -> tuple[int, float]:
    remaining, ids = _kept(model / np.float32(sampling.temperature), sampling)
    likely = np.exp(remaining.astype(np.float64) - remaining.max())
    mass = likely.cumsum()
    index = min(int(np.searchsorted(mass, uniform * mass[-1], side="right")), len(mass) - 1)
    return int(ids[index]), float(likely[index] / mass[-1])


def _kept(logits: Any, sampling: Sampling) -> tuple[Any, Any]:
    """The logits that top-k (with ties) and top-p leave, and their ids, ascending."""
    ids = np.arange(len(logits))
    if 0 < sampling.top_k < len(logits):
        ids = np.flatnonzero(logits >= np.partition(logits, -sampling.top_k)[-sampling.top_k])
        logits = logits[ids]
    if sampling.top_p < 1:
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        order = np.argsort(-shares, kind="stable")
        ranked = shares[order]
        places = np.sort(order[ranked.cumsum() - ranked < np.float32(sampling.top_p)])
        ids, logits = ids[places], logits[places]
    return logits, ids
