"""The most likely completions of many prompts at once, by a module that is not served: one that is being trained."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from genai_lab.decoding.batch import Batch
from genai_lab.decoding.prefill import Network
from genai_lab.decoding.prefill_input import PrefillInput

READ_AT_ONCE = 4096


@torch.no_grad()
def greedy(
    module: Any, prompts: Sequence[list[int]], decoder_prefix: list[int], room: Sequence[int], ends: frozenset[int]
) -> list[list[int]]:
    """The ids written after each prompt, at most its `room`, up to one of `ends` (left out).

    An encoder-decoder model's decoder begins with `begun`. The prompts are read in batches of similar length.
    """
    network = Network(module)
    written: list[list[int]] = [[] for _ in prompts]
    for places in _batches(prompts, 1 if not network.joins else len(prompts)):
        places = [index for index in places if room[index] > 0]
        if not places:
            continue
        batch = Batch(network)
        logits = batch.join([PrefillInput(prompts[index], list(decoder_prefix)) for index in places])
        while True:
            tokens = logits.argmax(-1).tolist()
            staying = []
            for row, (index, token) in enumerate(zip(places, tokens, strict=True)):
                if token not in ends:
                    written[index].append(token)
                    if len(written[index]) < room[index]:
                        staying.append(row)
            if not staying:
                break
            if len(staying) < len(places):
                batch.keep(staying)
            places = [places[row] for row in staying]
            batch.next_ids = [tokens[row] for row in staying]
            logits = batch.step()
    return written


def _batches(prompts: Sequence[list[int]], most: int) -> Iterator[list[int]]:
    """Places of prompts that are read together: at most `most` of them and READ_AT_ONCE tokens with their padding."""
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    batch: list[int] = []
    for index in order:
        if batch and (len(batch) >= most or (len(batch) + 1) * len(prompts[index]) > READ_AT_ONCE):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
