"""Completions of many prompts by a module as it is now, drawn by generators of their own.

A row's generator is made from the run's seed, the step and the row, so that a resumed run draws what an unbroken one
would, and any completion can be drawn again. Draws are from the module's own distribution at the temperature: no other
filter, since a filtered draw is not the policy's and makes the estimated KL negative.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from genai_lab.decoding.batch import Batch
from genai_lab.decoding.logits_processors import draw
from genai_lab.decoding.prefill import Network
from genai_lab.decoding.prefill_input import PrefillInput

AT_ONCE = 64  # rows that take their steps together


@dataclass(frozen=True)
class Sampling:
    """`max_new_tokens` counts the end token too; `greedy` takes the most probable token instead of a draw."""

    max_new_tokens: int
    temperature: float = 1.0
    greedy: bool = False


@dataclass
class Completion:
    """`ids` of the completion, the end token among them where `ended`; `log_probs` of each in nats, as drawn."""

    ids: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    ended: bool = False


def generator(seed: int, step: int, row: int) -> np.random.Generator:
    """The row's own source of uniform numbers at a step; evaluations count as step -1."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, step + 1, row])))


def network_of(module: Any) -> Network:
    """The decoding engine's view of a module, adapters inside it and all."""
    base = module.get_base_model() if hasattr(module, "get_base_model") else module
    return Network(base)


@torch.no_grad()
def sample(
    network: Network,
    prompts: Sequence[Sequence[int]],
    generators: Sequence[np.random.Generator],
    sampling: Sampling,
    ends: frozenset[int],
    decoder_start: int | None = None,
) -> list[Completion]:
    """One completion of each prompt's ids, in order; equal prompts beside one another are read once."""
    network.forget_prefixes()
    completions = [Completion() for _ in prompts]
    at_once = AT_ONCE if network.joins else 1
    for start in range(0, len(prompts), at_once):
        rows = range(start, min(start + at_once, len(prompts)))
        begin = [decoder_start or 0] if network.seq2seq else []
        batch, inputs = Batch(network), [PrefillInput(list(prompts[row]), begin) for row in rows]
        places = list(rows)
        logits = batch.join(inputs)
        while places:
            tokens = _next_tokens(logits, [generators[row] for row in places], sampling)
            stay = []
            for index, (row, (token, log_prob)) in enumerate(zip(places, tokens, strict=True)):
                completion = completions[row]
                completion.ids.append(token)
                completion.log_probs.append(log_prob)
                completion.ended = token in ends
                if not completion.ended and len(completion.ids) < sampling.max_new_tokens:
                    stay.append(index)
            batch.next_ids = [token for token, _ in tokens]
            if len(stay) < len(places):
                batch.keep(stay)
                places = [places[index] for index in stay]
            if places:
                logits = batch.step()
    return completions


def _next_tokens(
    logits: torch.Tensor, generators: Sequence[np.random.Generator], sampling: Sampling
) -> list[tuple[int, float]]:
    """(token, its log-probability) for each row of logits (B, V)."""
    scaled = logits.float() / sampling.temperature
    if sampling.greedy:
        picked = scaled.argmax(-1, keepdim=True)
    else:
        picked, _ = draw(scaled, [float(source.random()) for source in generators])
    log_probs = scaled.log_softmax(-1).gather(1, picked)[:, 0].tolist()
    return list(zip(picked[:, 0].tolist(), log_probs, strict=True))
