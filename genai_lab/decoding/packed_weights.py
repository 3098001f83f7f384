"""Models with 8 or 4 bit weights: fewer bytes to read for each token, while activations stay float32.

On a CPU a decoding step waits for the weights. Torch's packed products read them as they are stored, but they are fast
only for few rows and only with bfloat16 activations, which is why activations are converted around the product alone.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Self

import torch
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

# Inputs of one output that share a scale and an offset in int4, and multiples that its layout holds.
GROUP, INT4_OUTPUTS = 32, 16
# Rows up to which an int8 product is faster than one with its weights unpacked for the moment, by whether the CPU
# multiplies bfloat16 natively (`python -m benchmarks.packed`).
INT8_ROWS = {True: 12, False: 32}


class PackedLinear(torch.nn.Linear):
    """A linear layer without float weights: (..., in) -> (..., out), both float32."""

    def __init__(self, out_features: int, in_features: int, bias: torch.Tensor | None) -> None:
        # Linear's own would make float weights first.
        torch.nn.Module.__init__(self)
        self.in_features, self.out_features = in_features, out_features
        self.register_buffer("bias", None if bias is None else bias.detach().float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.product(x.reshape(-1, self.in_features)).float()
        return (y if self.bias is None else y + self.bias).reshape(*x.shape[:-1], self.out_features)

    def product(self, rows: torch.Tensor) -> torch.Tensor:
        """(n, in) -> (n, out), without the bias."""
        raise NotImplementedError


class Int8Linear(PackedLinear):
    """Symmetric, one scale for each output: w = q s with s = max |w| / 127."""

    scale: torch.Tensor
    rounded_scale: torch.Tensor

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        """`weight` is (out, in), of any float dtype."""
        super().__init__(weight.shape[0], weight.shape[1], bias)
        full = weight.detach().float()
        scale = (full.abs().amax(1) / 127).clamp(min=1e-12)
        self.register_buffer("weight", (full / scale[:, None]).round_().clamp_(-127, 127).to(torch.int8))
        self.register_buffer("scale", scale)
        self.register_buffer("rounded_scale", scale.bfloat16())

    def product(self, rows: torch.Tensor) -> torch.Tensor:
        if rows.shape[0] <= INT8_ROWS[native_bfloat16()]:
            return torch._weight_int8pack_mm(rows.bfloat16(), self.weight, self.rounded_scale)
        dtype = torch.bfloat16 if native_bfloat16() else torch.float32
        return functional.linear(rows.to(dtype), self.weight.to(dtype)).float() * self.scale

    @classmethod
    def joined(cls, layers: Sequence[Self]) -> Self:
        """The layers as one, over one copy of the weights: those of each layer become a view of it."""
        both = object.__new__(cls)
        biases: list[torch.Tensor] = [layer.bias for layer in layers if layer.bias is not None]
        bias = torch.cat(biases) if biases else None
        PackedLinear.__init__(both, sum(layer.out_features for layer in layers), layers[0].in_features, bias)
        for name in ("weight", "scale", "rounded_scale"):
            parts: list[torch.Tensor] = [getattr(layer, name) for layer in layers]
            both.register_buffer(name, torch.cat(parts))
            for layer, view in zip(layers, getattr(both, name).split([len(part) for part in parts]), strict=True):
                setattr(layer, name, view)
        return both


class Int4Linear(PackedLinear):
    """Asymmetric in groups of 32 inputs: w = (q - 8) s + z with s = (max - min) / 15."""

    scales: torch.Tensor

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        """`weight` is (out, in), of any float dtype; `out` a multiple of 16, `in` of 32."""
        super().__init__(weight.shape[0], weight.shape[1], bias)
        groups = weight.detach().float().reshape(self.out_features, -1, GROUP)
        least, largest = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
        # Rounded as they are stored, so that the numbers below are the nearest for the scale that is used.
        scale = ((largest - least) / 15).clamp(min=1e-6).bfloat16().float()
        offset = (least + scale * 8).bfloat16().float()
        numbers = ((groups - offset) / scale + 8).round_().clamp_(0, 15).to(torch.int32)
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(numbers.reshape(weight.shape).contiguous(), 1)
        self.register_buffer("weight", packed)
        self.register_buffer("scales", torch.cat([scale, offset], -1).transpose(0, 1).contiguous().bfloat16())

    def product(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten._weight_int4pack_mm_for_cpu(rows.bfloat16().contiguous(), self.weight, GROUP, self.scales)


class StoredEmbedding(torch.nn.Embedding):
    """Embeddings in bfloat16, (...) ids -> (..., width) float32; one `table` may serve several of them."""

    def __init__(self, embedding: torch.nn.Embedding, table: torch.Tensor) -> None:
        torch.nn.Module.__init__(self)
        self.num_embeddings, self.embedding_dim = embedding.num_embeddings, embedding.embedding_dim
        self.padding_idx, self.max_norm, self.norm_type = embedding.padding_idx, None, 2.0
        self.scale_grad_by_freq = self.sparse = False
        self.register_buffer("weight", table)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return functional.embedding(ids, self.weight).float()


def pack_weights(module: Any, dtype: str) -> Any:
    """Replaces a model's linear layers in place by packed ones in `dtype`, "int8" or "int4"; returns the module.

    Its token embeddings become bfloat16 and everything else float32. A layer whose sizes int4 cannot hold becomes int8.
    """
    embeddings = module.get_input_embeddings().weight.detach()
    # A copy, since the weights of a file that is mapped into memory keep all of it there.
    _pack_below(module, dtype, embeddings.data_ptr(), embeddings.to(torch.bfloat16, copy=True))
    module.config.dtype = torch.float32
    return module


def packed_rows(module: Any) -> int | None:
    """The most rows of a traced step over packed layers; None for a model without them."""
    if not any(isinstance(part, PackedLinear) for part in module.modules()):
        return None
    return INT8_ROWS[native_bfloat16()]


def weight_count(module: Any) -> int:
    """Parameters of a module, those of packed layers among them."""
    packed = [part for part in module.modules() if isinstance(part, PackedLinear)]
    return sum(p.numel() for p in module.parameters()) + sum(part.in_features * part.out_features for part in packed)


@cache
def native_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 without converting it."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _pack_below(module: Any, dtype: str, address: int, table: torch.Tensor) -> None:
    for parameter in module._parameters.values():
        if parameter is not None:
            parameter.data = parameter.data.float()
    for name, buffer in module._buffers.items():
        if buffer is not None and buffer.is_floating_point():
            module._buffers[name] = buffer.float()
    for name, child in module.named_children():
        if type(child) is torch.nn.Linear:
            setattr(module, name, _packed(child.weight, child.bias, dtype))
        elif type(child) is Conv1D:
            setattr(module, name, _packed(child.weight.T, child.bias, dtype))
        elif type(child) is torch.nn.Embedding and child.weight.data_ptr() == address:
            setattr(module, name, StoredEmbedding(child, table))
        else:
            _pack_below(child, dtype, address, table)


def _packed(weight: torch.Tensor, bias: torch.Tensor | None, dtype: str) -> PackedLinear:
    fits = weight.shape[0] % INT4_OUTPUTS == 0 and weight.shape[1] % GROUP == 0
    return (Int4Linear if dtype == "int4" and fits else Int8Linear)(weight.contiguous(), bias)
