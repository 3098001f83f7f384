"""One decoding step as a traced graph: the same numbers as the module's forward, without Python between its layers.

A small model on a CPU spends most of a step in Python and in unpacked weights. TorchScript removes both; for large
models or an accelerator the gain is small, so that they keep the module's own forward.
"""

import logging
import warnings
from typing import Any

import torch
from transformers import EncoderDecoderCache
from transformers.cache_utils import Cache, CacheLayerMixin

log = logging.getLogger(__name__)
# The packed weights are a second copy, which a large model cannot afford and does not need.
LARGEST = 200_000_000
CLOSE = 1e-3


class _Written(CacheLayerMixin):
    """A layer whose buffers (B, H, capacity, D) are written at a column that is a tensor, as a trace needs it."""

    is_sliding = False
    is_compileable = False

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, column: torch.Tensor, mask: torch.Tensor) -> None:
        super().__init__()
        self.keys: Any = keys
        self.values: Any = values
        self.is_initialized = True
        self._column, self._mask = column, mask

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        return

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self.keys.index_copy_(2, self._column, key_states)
        self.values.index_copy_(2, self._column, value_states)
        size = self._mask.shape[-1]
        return self.keys.narrow(2, 0, size), self.values.narrow(2, 0, size)

    def get_seq_length(self) -> int:
        return self._mask.shape[-1] - 1

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._mask.shape[-1], 0

    def get_max_cache_shape(self) -> int:
        return -1

    def get_max_length(self) -> int:
        return -1


class _Fixed(_Written):
    """Keys and values of the encoder's states, complete before the first step."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self.keys, self.values

    def get_seq_length(self) -> int:
        return int(self.keys.shape[2])


class _Step(torch.nn.Module):
    """(B, 1) ids, (B, 1) positions, (B, 1, 1, columns) mask, the column, the buffers -> (B, V) logits."""

    def __init__(self, module: Any, positions: bool) -> None:
        super().__init__()
        self.module, self.positions = module, positions

    def forward(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        mask: torch.Tensor,
        column: torch.Tensor,
        *tables: torch.Tensor,
    ) -> torch.Tensor:
        cache = Cache(layers=[_Written(k, v, column, mask) for k, v in zip(tables[::2], tables[1::2], strict=True)])
        more = {"position_ids": positions} if self.positions else {}
        out = self.module(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **more)
        return out.logits[:, -1]


class _PairStep(torch.nn.Module):
    """As `_Step`, for an encoder-decoder model; the mask over the source comes in place of the positions."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(
        self, ids: torch.Tensor, source: torch.Tensor, mask: torch.Tensor, column: torch.Tensor, *tables: torch.Tensor
    ) -> torch.Tensor:
        half = len(tables) // 2
        pairs = list(zip(tables[::2], tables[1::2], strict=True))
        own = Cache(layers=[_Written(k, v, column, mask) for k, v in pairs[: half // 2]])
        cross = Cache(layers=[_Fixed(k, v, column, mask) for k, v in pairs[half // 2 :]])
        cache = EncoderDecoderCache(own, cross)
        cache.is_updated = dict.fromkeys(range(half // 2), True)
        return self.module(
            encoder_outputs=(source[:, 0, 0, :, None],),
            attention_mask=source,
            decoder_input_ids=ids,
            decoder_attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
        ).logits[:, -1]


def tables_of(cache: Any) -> list[torch.Tensor]:
    """The buffers of a cache in the order in which a step takes them: keys and values, layer by layer."""
    if isinstance(cache, EncoderDecoderCache):
        return tables_of(cache.self_attention_cache) + tables_of(cache.cross_attention_cache)
    return [table for layer in cache.layers for table in (layer.keys, layer.values)]


def can_be_traced(module: Any, largest: int = LARGEST) -> bool:
    """Small float32 models on the CPU."""
    plain = module.dtype == torch.float32 and module.device.type == "cpu"
    return plain and sum(p.numel() for p in module.parameters()) <= largest


def traced(module: Any, seq2seq: bool, positions: bool, example: tuple[torch.Tensor, ...]) -> Any:
    """The step as a graph with packed weights; None where the model cannot be traced."""
    step = _PairStep(module) if seq2seq else _Step(module, positions)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = torch.jit.trace(step.eval(), example, check_trace=False)
            return torch.jit.optimize_for_inference(graph.eval())
    except Exception:
        log.info("%s decodes without a traced step", type(module).__name__, exc_info=True)
        return None
