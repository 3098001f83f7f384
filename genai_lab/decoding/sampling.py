"""The next tokens of rows from their logits, with the trace of how each was chosen."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from genai_lab.decoding import Stage, Token, numpy_sampling
from genai_lab.decoding.logits_processors import SHORT, WHOLE, apply_processors, draw, topk_prefilter

# These change no order among the tokens that they leave, so that the most probable ones need no new search.
KEEP_ORDER = ("model", "temperature", "top-k", "top-p", "min-p")


class Trace:
    """The most probable tokens of the traced rows before and after each filter.

    Stages are computed as they come, on logits that get fewer, and read out together.
    """

    def __init__(self, rows: Sequence[Any], text: Callable[[int], str], logits: torch.Tensor) -> None:
        self._wanted = {row_index: row.trace for row_index, row in enumerate(rows) if row.trace}
        self._text = text
        self._most = max(self._wanted.values())
        self._stages: list[_Leaders] = []
        self._short: torch.Tensor | None = None
        self._found = self._search(logits)
        self.add("model", list(range(len(rows))), logits)

    def narrow(self, logits: torch.Tensor, short: torch.Tensor) -> None:
        """From now on logits are those of the tokens `short` (B, N)."""
        self._short = short
        self._found = self._search(logits)

    def add(self, name: str, places: list[int], logits: torch.Tensor) -> None:
        """Takes the rows' logits (len(places), V) as they stand after the filter `name`."""
        every = len(places) == len(self._found)
        if name not in KEEP_ORDER:
            self._found = self._found.clone()
            self._found[places] = logits.topk(self._found.shape[-1], dim=-1).indices
        ids = self._found if every else self._found[places]
        shares = logits.softmax(-1).gather(1, ids)
        if self._short is not None:
            ids = (self._short if every else self._short[places]).gather(1, ids)
        self._stages.append(_Leaders(name, places, ids, shares, _left(logits)))

    def stages(self) -> dict[int, list[Stage]]:
        """For each traced row its stages, in order."""
        by_row: dict[int, list[Stage]] = {row_index: [] for row_index in self._wanted}
        before: dict[int, int] = {}
        for name, places, *columns in self._stages:
            for row_index, ids, shares, remaining in zip(places, *(column.tolist() for column in columns), strict=True):
                if row_index in by_row:
                    best = tuple(ids[: min(self._wanted[row_index], remaining)])
                    texts = tuple(map(self._text, best))
                    removed = before.get(row_index, remaining) - remaining
                    by_row[row_index].append(Stage(name, best, texts, tuple(shares[: len(best)]), removed))
                    before[row_index] = remaining
        return by_row

    def _search(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.topk(min(self._most, logits.shape[-1]), dim=-1).indices


class _Leaders(NamedTuple):
    """One stage of the rows `places`: `ids` and `shares` (n, k) of the most probable tokens, `left` (n,) in all."""

    name: str
    places: list[int]
    ids: torch.Tensor
    shares: torch.Tensor
    remaining: torch.Tensor


def next_tokens(rows: Sequence[Any], logits: torch.Tensor, text: Callable[[int], str]) -> list[Token]:
    """One token for each row from its logits (B, V): the most probable one, or a draw from the row's own generator."""
    if len(rows) == 1 and not rows[0].trace and numpy_sampling.knows(rows[0].sampling, logits):
        return [numpy_sampling.next_token(rows[0], logits[0], text)]
    samplings, past = [row.sampling for row in rows], [row.context for row in rows]
    trace = Trace(rows, text, logits) if any(row.trace for row in rows) else None
    record = trace.add if trace else None
    final = apply_processors(logits, samplings, past, record, WHOLE)
    short = topk_prefilter(final, samplings)
    if short is not None:
        final = final.gather(1, short)
        if trace:
            trace.narrow(final, short)
    final = apply_processors(final, samplings, past, record, SHORT)
    picked, shares = _picked(final, rows)
    if short is not None:
        picked = short.gather(1, picked)
    logprobs = logits.log_softmax(-1).gather(1, picked)[:, 0].tolist()
    stages = trace.stages() if trace else {}
    table = enumerate(zip(picked[:, 0].tolist(), logprobs, shares, strict=True))
    return [Token(token, text(token), value, share, tuple(stages.get(i, ()))) for i, (token, value, share) in table]


def _picked(logits: torch.Tensor, rows: Sequence[Any]) -> tuple[torch.Tensor, list[float]]:
    """Places (B, 1) of the chosen tokens in logits (B, N), and the probabilities that they were chosen with."""
    greedy = [index for index, row in enumerate(rows) if row.sampling.greedy]
    if len(greedy) == len(rows):
        return logits.argmax(-1, keepdim=True), [1.0] * len(rows)
    picked, likely = draw(logits, [row.uniform() for row in rows])
    shares = likely[:, 0].tolist()
    for index in greedy:
        picked[index], shares[index] = logits[index].argmax(), 1.0
    return picked, shares


def _left(logits: torch.Tensor) -> torch.Tensor:
    """How many tokens (B,) are still possible; the least logit tells cheaply where that is all of them."""
    rows, size = logits.shape
    if bool(logits.amin() > -torch.inf):
        return torch.full((rows,), size)
    return (logits > -torch.inf).sum(-1)
