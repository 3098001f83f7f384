"""Fewer operations for the same numbers: what a step of one token loses between its matrix products."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from genai_lab.decoding.packed_weights import Int8Linear

# Linear layers of one module that read the same input, in the order in which they are called.
SIBLINGS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"), ("wi_0", "wi_1"))
Forward = Callable[[torch.Tensor], torch.Tensor]


@contextmanager
def fuse_layers(module: Any) -> Iterator[None]:
    """While it lasts, the module takes siblings as one product, an RMS norm in five operations, attention as products.

    For one query a row, two products are faster than a flash kernel. A graph traced meanwhile keeps all that; whether
    it is right for this architecture, its numbers must tell.
    """
    changed = [*_norms(module), *_siblings(module)]
    configs = list({id(part.config): part.config for part in module.modules() if hasattr(part, "config")}.values())
    attention = [config._attn_implementation for config in configs]
    for part, forward in changed:
        part.forward = forward
    for config in configs:
        config._attn_implementation = "eager"
    try:
        yield
    finally:
        for part, _ in changed:
            del part.forward
        for config, name in zip(configs, attention, strict=True):
            config._attn_implementation = name


def _norms(module: Any) -> Iterator[tuple[Any, Forward]]:
    for part in module.modules():
        if hasattr(part, "variance_epsilon") and getattr(part, "weight", None) is not None:
            yield part, _norm(part)


def _norm(part: Any) -> Forward:
    """x / sqrt(mean(x^2) + e) * w as x * rsqrt(sum(x^2) + n e) * (w sqrt(n)) (Zhang & Sennrich 2019, eq. 4)."""
    size = part.weight.numel()
    scale, least = (part.weight * size**0.5).detach(), part.variance_epsilon * size
    return lambda x: x * ((x * x).sum(-1, keepdim=True) + least).rsqrt() * scale


def _siblings(module: Any) -> Iterator[tuple[Any, Forward]]:
    for part in module.modules():
        for names in SIBLINGS:
            layers: list[Any] = [getattr(part, name, None) for name in names]
            kinds = {type(sibling) for sibling in layers}
            if kinds in ({torch.nn.Linear}, {Int8Linear}) and len({sibling.bias is None for sibling in layers}) == 1:
                together = _Together(layers)
                for index, layer in enumerate(layers):
                    yield layer, together.part(index)


class _Together:
    """The first of the siblings computes for all; the others take their share of the same input."""

    def __init__(self, layers: list[Any]) -> None:
        self._product = Int8Linear.joined(layers) if type(layers[0]) is Int8Linear else _joint_linear(layers)
        self._sizes = [layer.out_features for layer in layers]
        self._input: torch.Tensor | None = None
        self._outputs: tuple[torch.Tensor, ...] = ()

    def part(self, index: int) -> Forward:
        return lambda x: self._share(x, index)

    def _share(self, x: torch.Tensor, index: int) -> torch.Tensor:
        if self._input is not x:
            self._input = x
            self._outputs = self._product(x).split(self._sizes, -1)
        return self._outputs[index]


def _joint_linear(layers: list[Any]) -> Forward:
    weight = _joint([layer.weight for layer in layers])
    bias = None if layers[0].bias is None else _joint([layer.bias for layer in layers])
    return lambda x: torch.nn.functional.linear(x, weight, bias)


def _joint(parts: list[Any]) -> torch.Tensor:
    """The parameters as one tensor, of which each becomes a view: joining them takes no second copy of the weights."""
    first, storage = parts[0], parts[0].untyped_storage()
    ends = itertools.accumulate((part.numel() for part in parts), initial=first.storage_offset())
    if all(
        part.untyped_storage().data_ptr() == storage.data_ptr() and part.storage_offset() == begin
        for part, begin in zip(parts, ends, strict=False)
    ):
        size = (sum(part.shape[0] for part in parts), *first.shape[1:])
        return first.detach().as_strided(size, first.stride())
    joint = torch.cat([part.detach() for part in parts])
    for part, view in zip(parts, joint.split([part.shape[0] for part in parts]), strict=True):
        part.data = view
    return joint
