"""What a policy and its reference make of completions: one forward pass over prompt and completion, logits of the
completion alone.

Rows are padded on the right, a decoder's completion directly behind its prompt, so that a row alone and in a batch has
the same positions. Masks come from lengths, never from a token's id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from genai_lab.alignment.divergence import exact_kl
from genai_lab.training.collating import collate_tokens
from genai_lab.training.examples import IGNORED, TokenFeatures
from genai_lab.training.learned_positions import head_at, learned_positions, logits_at
from genai_lab.training.objective import EncodingContext

KL_CHUNK = 2**22  # logits whose exact KL is computed at once


@dataclass(frozen=True)
class Reading:
    """Of N tokens of completions, one completion behind the other: logits (N, V) at the temperature, hidden states
    (N, H) before the head, and the tokens' ids (N,).
    """

    logits: torch.Tensor
    hidden: torch.Tensor
    ids: torch.Tensor

    def log_probs(self) -> torch.Tensor:
        """(N,) of the tokens, in nats."""
        return -torch.nn.functional.cross_entropy(self.logits, self.ids, reduction="none")

    def entropy(self) -> torch.Tensor:
        """(N,) of the distributions, in nats."""
        log_probs = self.logits.log_softmax(-1)
        return -(log_probs.exp() * log_probs).sum(-1)


class PolicyReader:
    """Reads completions with a module; `temperature` divides its logits."""

    def __init__(self, context: EncodingContext, temperature: float) -> None:
        self.context, self.temperature = context, temperature

    def read(self, module: Any, prompts: Sequence[list[int]], completions: Sequence[list[int]]) -> Reading:
        """All completions must have at least one token."""
        rows = [self._features(prompt, ids) for prompt, ids in zip(prompts, completions, strict=True)]
        batch = {name: tensor.to(module.device) for name, tensor in collate_tokens(rows, self.context).items()}
        labels = batch.pop("labels")
        positions, width = learned_positions(labels), labels.shape[1]
        if self.context.architecture == "decoder-only":
            batch.pop("attention_mask")  # padding stands behind a row's tokens, where a decoder does not look
        base = module.get_base_model() if hasattr(module, "get_base_model") else module
        with head_at(base, positions, width) as head:
            logits = logits_at(module(**batch, use_cache=False).logits, positions, width)
        ids = labels.reshape(-1).index_select(0, positions)
        hidden = head.inputs if head.inputs is not None else logits.new_zeros((len(ids), 0))
        return Reading(logits.float() / self.temperature, hidden.float(), ids)

    def _features(self, prompt: list[int], completion: list[int]) -> TokenFeatures:
        if self.context.architecture == "encoder-decoder":
            return TokenFeatures(prompt, completion)
        return TokenFeatures(prompt + completion, [IGNORED] * (len(prompt) - 1) + completion + [IGNORED])


def kl_at_tokens(policy: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """The exact KL (N,) of logits (N, V), a piece at a time."""
    rows = max(1, KL_CHUNK // policy.shape[-1])
    pieces = [exact_kl(policy[at : at + rows], reference[at : at + rows]) for at in range(0, len(policy), rows)]
    return torch.cat(pieces) if pieces else policy.new_zeros(0)


def as_matrix(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(N,) values of tokens, one completion behind the other, as (B, T) with 0 outside the mask."""
    matrix = values.new_zeros(mask.shape)
    return matrix.masked_scatter(mask, values)


def mask_of(lengths: Sequence[int], device: Any) -> torch.Tensor:
    """(B, T), true at the first `length` places of each row."""
    sizes = torch.tensor(lengths, device=device)
    return torch.arange(int(sizes.max()), device=device)[None] < sizes[:, None]
