"""Rows that take their steps together: one forward pass a step, rows that join and rows that leave."""

import logging
from contextlib import nullcontext
from typing import Any

import torch

from genai_lab.decoding.fused_layers import fuse_layers
from genai_lab.decoding.kv_cache import join_caches, pick_rows
from genai_lab.decoding.packed_weights import packed_rows
from genai_lab.decoding.prefill import Network, additive, read
from genai_lab.decoding.prefill_input import PrefillInput
from genai_lab.decoding.traced_step import (
    CLOSE,
    CLOSE_PACKED,
    LARGEST,
    can_be_traced,
    most_rows,
    same_logits,
    tables_of,
    trace_step,
)
from genai_lab.memory import release

log = logging.getLogger(__name__)


class Batch:
    """The rows of one module; for models whose rows must start together, those of one start."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.rows: list[Any] = []
        self.next_ids: list[int] = []
        self._cache: Any = None
        self._starts: list[int] = []
        self._seen: list[int] = []
        self._mask: torch.Tensor | None = None
        self._source: torch.Tensor | None = None

    @property
    def width(self) -> int:
        """Columns that each row takes in the cache."""
        if self._cache is None:
            return 0
        return max(_width(self._own()), self._source.shape[-1] if self._source is not None else 0)

    def growth(self) -> int:
        """Bytes by which the next step makes the buffers longer, which grow by half (see `BufferLayer.make_room`)."""
        layers = self._own().layers if self._cache is not None else ()
        return sum(layer.keys.nbytes for layer in layers if layer.size >= layer.keys.shape[2])

    def join(self, rows: list[Any]) -> torch.Tensor:
        """Reads the rows' prompts and takes them in; logits (len(rows), V) for their first tokens."""
        cache, starts, source, logits = read(self.network, rows)
        lengths = [_width(cache) - start for start in starts]
        if not self.rows:
            self._cache, self._starts, self._source = cache, starts, source
        else:
            width = max(_width(self._cache), _width(cache))
            self._starts = [s + width - _width(self._cache) for s in self._starts]
            self._starts += [s + width - _width(cache) for s in starts]
            if self.network.seq2seq:
                join_caches(self._cache.self_attention_cache, cache.self_attention_cache, pad_left=True)
                join_caches(self._cache.cross_attention_cache, cache.cross_attention_cache, pad_left=False)
                self._source = _stacked(self._source, source)
            else:
                join_caches(self._cache, cache, pad_left=True)
        self.rows += rows
        self._seen += lengths
        self.next_ids += [0] * len(rows)
        self._mask = None
        return logits

    def step(self) -> torch.Tensor:
        """Reads `next_ids`; logits (B, V) for the tokens after them."""
        quick = self.network.quick is not None and len(self.rows) <= self.network.quick_rows
        logits = self._quick_step() if quick else self._plain_step()
        self._seen = [length + 1 for length in self._seen]
        return logits

    def inputs(self) -> tuple[torch.Tensor, ...]:
        """What a traced step takes; the buffers have room for its column."""
        column = _width(self._cache)
        for layer in self._own().layers:
            layer.make_room(column + 1)
        ids = self.network.table([[token] for token in self.next_ids])
        second = self._source if self._source is not None else self._positions()
        mask, position = self._step_mask(column + 1), torch.tensor([column], device=self.network.device)
        return ids, second, mask, position, *tables_of(self._cache)

    def keep(self, places: list[int]) -> None:
        """Keeps these rows; the others have left."""
        self.rows = [self.rows[i] for i in places]
        self.next_ids = [self.next_ids[i] for i in places]
        self._seen = [self._seen[i] for i in places]
        self._starts = [self._starts[i] for i in places]
        self._mask = None
        if not places:
            self._cache = self._source = None
            return
        trim = min(self._starts)
        self._starts = [start - trim for start in self._starts]
        pick_rows(self._own(), places, trim)
        if self.network.seq2seq:
            pick_rows(self._cache.cross_attention_cache, places)
            self._source = self._source[places] if self._source is not None else None

    def _quick_step(self) -> torch.Tensor:
        logits = self.network.quick(*self.inputs())
        for layer in self._own().layers:
            layer.size += 1
        return logits

    def _plain_step(self) -> torch.Tensor:
        network = self.network
        ids = network.table([[token] for token in self.next_ids])
        mask = self._step_mask(_width(self._cache) + 1) if any(self._starts) else None
        if not network.seq2seq:
            extra = {"position_ids": self._positions()} if network.positions else {}
            return network.module(
                input_ids=ids, attention_mask=mask, past_key_values=self._cache, use_cache=True, **extra
            ).logits[:, -1]
        assert self._source is not None
        hidden = torch.empty((len(self.rows), self._source.shape[-1], 1), device=network.device)
        return network.module(
            encoder_outputs=(hidden,),
            attention_mask=self._source,
            decoder_input_ids=ids,
            decoder_attention_mask=mask,
            past_key_values=self._cache,
            use_cache=True,
        ).logits[:, -1]

    def _own(self) -> Any:
        return self._cache.self_attention_cache if self.network.seq2seq else self._cache

    def _positions(self) -> torch.Tensor:
        return self.network.table([[length] for length in self._seen])

    def _step_mask(self, columns: int) -> torch.Tensor:
        """Additive mask (B, 1, 1, columns) for the column being written."""
        if self._mask is None or self._mask.shape[-1] < columns:
            starts = torch.tensor(self._starts, device=self.network.device)[:, None]
            room = torch.arange(columns + 64, device=self.network.device)[None, :]
            self._mask = additive(room >= starts, self.network.dtype)[:, None, None, :]
        return self._mask[..., :columns]


def attach_traced_step(network: Network, largest: int = LARGEST) -> None:
    """Gives the network a traced step, where that gives the same numbers as the module's own forward."""
    if not can_be_traced(network.module, largest):
        return
    with torch.no_grad():
        plain = _probes(network)
        batch = Batch(network)
        batch.join(_texts((2, 4)))
        network.quick_rows = most_rows(network.module)
        for context in (fuse_layers, nullcontext):
            with context(network.module):
                network.quick = trace_step(network.module, network.seq2seq, network.positions, batch.inputs())
            if network.quick is not None and _same(network, plain):
                return
            network.quick = None
            release()


def _same(network: Network, plain: list[torch.Tensor]) -> bool:
    try:
        close = CLOSE if packed_rows(network.module) is None else CLOSE_PACKED
        return same_logits(plain, _probes(network), close)
    except RuntimeError:
        log.info("the traced step of %s fails", type(network.module).__name__, exc_info=True)
        return False


def _probes(network: Network) -> list[torch.Tensor]:
    return [_probe(network, lengths) for lengths in ((3,), (2, 5))]


def _texts(lengths: tuple[int, ...]) -> list[PrefillInput]:
    return [PrefillInput(list(range(1, 1 + length)), [0]) for length in lengths]


def _probe(network: Network, lengths: tuple[int, ...]) -> torch.Tensor:
    """Logits of a few steps on short texts, (steps * B, V)."""
    batch = Batch(network)
    batch.join(_texts(lengths if network.joins else lengths[:1]))
    logits = []
    for token in (1, 3, 2):
        batch.next_ids = [token] * len(batch.rows)
        logits.append(batch.step())
    return torch.cat(logits)


def _width(cache: Any) -> int:
    return int(cache.get_seq_length())


def _stacked(ours: torch.Tensor | None, theirs: torch.Tensor | None) -> torch.Tensor:
    """Source masks (B, 1, 1, S) of both, padded on the right as masked."""
    assert ours is not None
    assert theirs is not None
    width = max(ours.shape[-1], theirs.shape[-1])
    low = torch.finfo(ours.dtype).min
    both = [torch.nn.functional.pad(mask, (0, width - mask.shape[-1]), value=low) for mask in (ours, theirs)]
    return torch.cat(both)
