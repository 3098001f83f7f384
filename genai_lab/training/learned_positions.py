"""Logits and cross-entropy where something is learned, and nowhere else.

Prompts and padding are read and not learned: their logits would take most of a step's memory at a large vocabulary and
change neither the loss nor a gradient. So the head is given the hidden states of the learned positions alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from genai_lab.training.examples import IGNORED

# Logits that are made into probabilities at once: what a CPU's cache holds, and what keeps a GPU busy.
CPU_CHUNK, GPU_CHUNK = 2**18, 2**24


def learned_positions(labels: torch.Tensor) -> torch.Tensor:
    """(N,) positions in the flattened `labels` (B, T) at which something is learned."""
    return (labels.reshape(-1) != IGNORED).nonzero()[:, 0]


@dataclass
class HeadInputs:
    """What a head has read: (N, H) hidden states; None before the forward pass, or where there is no head."""

    inputs: torch.Tensor | None = None


@contextmanager
def head_at(module: Any, positions: torch.Tensor, width: int) -> Iterator[HeadInputs]:
    """Within it the module's head reads `positions` of its (B x width) last hidden states alone: logits are (N, V).

    Virtual tokens before the text are passed over. A module without a head of its own gives all its logits, as before.
    """
    head = module.get_output_embeddings() if hasattr(module, "get_output_embeddings") else None
    read = HeadInputs()

    def gather(_: Any, given: tuple[Any, ...]) -> Any:
        if not given or given[0].dim() != 3:
            return None
        hidden = given[0][:, -width:]
        read.inputs = hidden.reshape(-1, hidden.shape[-1]).index_select(0, positions)
        return (read.inputs, *given[1:])

    hook = head.register_forward_pre_hook(gather) if isinstance(head, torch.nn.Module) else None
    try:
        yield read
    finally:
        if hook is not None:
            hook.remove()


def logits_at(logits: torch.Tensor, positions: torch.Tensor, width: int) -> torch.Tensor:
    """(N, V) logits of `positions`, of what a module gave within `head_at`, whether it has heard of it or not."""
    if logits.dim() == 2:
        return logits
    return logits[:, -width:].reshape(-1, logits.shape[-1]).index_select(0, positions)


def summed_cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The sum of -log softmax(logits)[label] in nats, in float32: logits (N, V), labels (N,) none of them IGNORED."""
    total: torch.Tensor = _SummedCrossEntropy.apply(logits, labels)  # type: ignore[no-untyped-call]
    return total


class _SummedCrossEntropy(torch.autograd.Function):
    """The gradient (softmax less one at the label) is made beside the loss, a piece at a time that a cache holds, so
    that of four tensors of the logits' size, which torch's own needs, there are two.
    """

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        total = logits.new_zeros((), dtype=torch.float32)
        learns = ctx.needs_input_grad[0]
        # Unscaled gradients are too small for float16.
        dtype = torch.float32 if logits.dtype == torch.float16 else logits.dtype
        gradient = torch.empty_like(logits, dtype=dtype) if learns else None
        rows = max(1, (CPU_CHUNK if logits.device.type == "cpu" else GPU_CHUNK) // logits.shape[-1])
        for start in range(0, len(logits), rows):
            targets = labels[start : start + rows, None]
            log_probs = logits[start : start + rows].float().log_softmax(-1)
            total -= log_probs.gather(1, targets).sum()
            if gradient is not None:
                probs = log_probs.exp_()
                probs.scatter_add_(1, targets, torch.full_like(targets, -1, dtype=probs.dtype))
                gradient[start : start + rows] = probs
        if gradient is not None:
            ctx.save_for_backward(gradient)
        ctx.dtype = logits.dtype
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, scale: torch.Tensor) -> tuple[torch.Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return gradient.mul_(scale).to(ctx.dtype), None
