"""One decoding step as a traced graph: the same numbers as the module's forward, without Python between its layers.

A small model on a CPU spends most of a step in Python and in unpacked weights. TorchScript removes both, at the price
of a packed copy of the weights. A larger one gains only for a few rows, and no more with packed weights than without,
so that its graph reads the module's own. Beyond that, or on an accelerator, models keep the module's own forward.
"""

import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import EncoderDecoderCache
from transformers.cache_utils import Cache, CacheLayerMixin

from genai_lab.decoding import PACKED_UP_TO, TRACED_UP_TO
from genai_lab.decoding.packed_weights import packed_rows, weight_count

log = logging.getLogger(__name__)
LARGEST, PACKED = TRACED_UP_TO, PACKED_UP_TO
# Rows up to which the graph over unpacked weights is faster than the module.
FEW_ROWS = 4
# How far logits of the graph may lie from the module's, as a share of the largest; packed layers give bfloat16, whose
# last bit is 2^-8.
CLOSE, CLOSE_PACKED = 1e-3, 2**-6
_TRACING = threading.Lock()


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
        extra = {"position_ids": positions} if self.positions else {}
        out = self.module(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **extra)
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
        decoder_cache = Cache(layers=[_Written(k, v, column, mask) for k, v in pairs[: half // 2]])
        cross = Cache(layers=[_Fixed(k, v, column, mask) for k, v in pairs[half // 2 :]])
        cache = EncoderDecoderCache(decoder_cache, cross)
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
    """Small models on the CPU in float32, or with packed weights."""
    plain = module.dtype == torch.float32 and module.device.type == "cpu"
    return plain and weight_count(module) <= largest


def most_rows(module: Any) -> int:
    """The most rows for which a graph of the module's step is faster than the module."""
    return sys.maxsize if packs(module) else packed_rows(module) or FEW_ROWS


def packs(module: Any) -> bool:
    """Whether the graph of the module's step holds a second, packed copy of the weights."""
    return packed_rows(module) is None and sum(p.numel() for p in module.parameters()) <= PACKED


def same_logits(expected: list[torch.Tensor], actual: list[torch.Tensor], close: float = CLOSE) -> bool:
    """Whether both choose the same tokens and differ by rounding only, up to `close` of the largest logit."""
    largest = max(float(logits.abs().max()) for logits in expected)
    return all(
        torch.equal(a.argmax(-1), b.argmax(-1)) and float((a - b).abs().max()) <= close * largest
        for a, b in zip(expected, actual, strict=True)
    )


def trace_step(module: Any, seq2seq: bool, positions: bool, example: tuple[torch.Tensor, ...]) -> Any:
    """The step as a graph; None where the model cannot be traced."""
    step = _PairStep(module) if seq2seq else _Step(module, positions)
    try:
        with torch.no_grad(), warnings.catch_warnings(), _types_of_its_own():
            warnings.simplefilter("ignore")
            graph = torch.jit.trace(step.eval(), example, check_trace=False).eval()
            if packs(module):
                return torch.jit.optimize_for_inference(graph)
            return torch.jit.freeze(graph, optimize_numerics=False)
    except Exception:
        log.info("%s decodes without a traced step", type(module).__name__, exc_info=True)
        return None


@contextmanager
def _types_of_its_own() -> Iterator[None]:
    """What is compiled meanwhile is freed with its graph; torch's own tables would keep it, weights and all."""
    from torch.jit import _recursive, _state

    with _TRACING:
        unit, types = _state._python_cu, _recursive.concrete_type_store
        _state._python_cu, _recursive.concrete_type_store = torch._C.CompilationUnit(), type(types)()
        try:
            yield
        finally:
            _state._python_cu, _recursive.concrete_type_store = unit, types
