"""Prompts read into a cache: what rows share is computed once, and the first logits come with it."""

import inspect
import sys
from collections import OrderedDict
from typing import Any, NamedTuple

import torch
from transformers import EncoderDecoderCache

from genai_lab.decoding.kv_cache import SLACK, expand_rows, new_cache, pick_rows
from genai_lab.decoding.soft_prompt import SoftPrompt
from genai_lab.memory import machine_memory
from genai_lab.models.sizing import cached_numbers

PREFIXES_KEPT = 8


class PrefillResult(NamedTuple):
    """A cache of rows that end in the same column, where each one starts, masks over the source, logits (B, V)."""

    cache: Any
    starts: list[int]
    source: torch.Tensor | None
    logits: torch.Tensor


class Network:
    """What the loop must know of a transformers model: its layers, and which arguments its forward takes."""

    def __init__(self, module: Any) -> None:
        self.module = module
        config = module.config.get_text_config(decoder=True)
        self.seq2seq = bool(module.config.is_encoder_decoder)
        names = ("num_decoder_layers", "decoder_layers") if self.seq2seq else ()
        # The text part of some configurations, such as BART's, has lost the number of the decoder's layers.
        self.layers = int(
            next(filter(None, (getattr(module.config, n, None) for n in names)), config.num_hidden_layers)
        )
        parameters = inspect.signature(module.forward).parameters
        self.positions = "position_ids" in parameters
        self.last_only = {"logits_to_keep": 1} if "logits_to_keep" in parameters else {}
        # Rows of different lengths can share a batch where positions are relative or given per row.
        self.joins = self.positions if not self.seq2seq else hasattr(config, "relative_attention_num_buckets")
        self.device, self.dtype = module.device, module.dtype
        self.quick: Any = None
        self.quick_rows = 0  # the most rows for which `quick` is used
        # Keys and values of one token of one row, 0 where the configuration does not tell.
        self.token_bytes = cached_numbers(module.config.to_dict(), 1) * module.dtype.itemsize
        self._prefixes: OrderedDict[tuple[SoftPrompt | None, tuple[int, ...]], Any] = OrderedDict()

    def prefix(self, ids: tuple[int, ...], soft: SoftPrompt | None = None) -> Any:
        """The decoder's cache (one row) after the soft prompt and these ids, computed once."""
        key = (soft, ids)
        if key not in self._prefixes:
            self._prefixes[key] = self._begun(ids, soft)
            while len(self._prefixes) > PREFIXES_KEPT:
                self._prefixes.popitem(last=False)
        self._prefixes.move_to_end(key)
        return self._prefixes[key]

    def forget(self, soft: SoftPrompt) -> None:
        """Frees what was computed for a soft prompt."""
        for key in [key for key in self._prefixes if key[0] is soft]:
            del self._prefixes[key]

    def forget_prefixes(self) -> None:
        """So that what rows share is read anew."""
        self._prefixes.clear()

    def close(self) -> None:
        """Frees the module, its graph and what has been read."""
        self.module = self.quick = None
        self.forget_prefixes()

    def _begun(self, ids: tuple[int, ...], soft: SoftPrompt | None) -> Any:
        cache = new_cache(self.layers, 0)
        if ids:
            cache = cache if soft is None else expand_rows(self.prefix((), soft), 1, len(ids))
            self.module(input_ids=self.table([list(ids)]), past_key_values=cache, use_cache=True, **self.last_only)
        elif soft is not None and soft.keys_values is not None:
            for layer, pair in zip(cache.layers, soft.keys_values, strict=True):
                layer.update(*(table.to(self.device, self.dtype) for table in pair))
        elif soft is not None:
            embeddings = soft.embeddings.to(self.device, self.dtype)[None]
            self.module(inputs_embeds=embeddings, past_key_values=cache, use_cache=True, **self.last_only)
        return cache

    def free_bytes(self) -> int:
        """What is left for keys and values on the device; blocks that torch keeps for reuse are free."""
        if self.device.type == "cuda":
            reusable = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
            return int(torch.cuda.mem_get_info(self.device)[0]) + reusable
        return machine_memory() if self.device.type == "cpu" else sys.maxsize

    def table(self, rows: list[list[int]]) -> torch.Tensor:
        return torch.tensor(rows, device=self.device)


def read(network: Network, rows: list[Any]) -> PrefillResult:
    """Reads rows (`Reading`) of one soft prompt that join together; equal prompts are read once.

    Behind keys and values of an encoder-decoder model the rows' decoders must begin with equally many ids.
    """
    first: dict[tuple[int, ...], int] = {}
    places = [first.setdefault((*row.prompt, -1, *row.decoder_prefix), len(first)) for row in rows]
    # A few equal prompts cost less to read again than a copy of what all have read.
    if len(first) > 0.75 * len(rows):
        places = list(range(len(rows)))
    once = [rows[places.index(index)] for index in range(max(places) + 1)]
    result = _read_pairs(network, once) if network.seq2seq else _read_texts(network, once)
    if len(once) == len(rows):
        return result
    if network.seq2seq:
        pick_rows(result.cache.self_attention_cache, places)
        pick_rows(result.cache.cross_attention_cache, places)
    else:
        pick_rows(result.cache, places)
    source = result.source[places] if result.source is not None else None
    return PrefillResult(result.cache, [result.starts[index] for index in places], source, result.logits[places])


def _read_texts(network: Network, rows: list[Any]) -> PrefillResult:
    shared, soft = _common(rows), rows[0].soft
    prefix_length = len(shared) + (soft.size if soft else 0)
    width = max(len(row.prompt) for row in rows) - len(shared)
    starts = [width - (len(row.prompt) - len(shared)) for row in rows]
    ids = [[row.prompt[0]] * start + row.prompt[len(shared) :] for row, start in zip(rows, starts, strict=True)]
    slack = width + _slack(rows)
    cache = expand_rows(network.prefix(shared, soft), len(rows), slack) if prefix_length else new_cache(network.layers)
    # A shorter rest is padded between what is known and itself; the known columns are moved behind it later.
    mask = [[1] * prefix_length + [0] * start + [1] * (width - start) for start in starts]
    extra = {}
    if network.positions:
        places = [[prefix_length + max(0, position - start) for position in range(width)] for start in starts]
        extra["position_ids"] = network.table(places)
    logits = network.module(
        input_ids=network.table(ids),
        attention_mask=network.table(mask) if any(starts) else None,
        past_key_values=cache,
        use_cache=True,
        **extra,
        **network.last_only,
    ).logits[:, -1]
    if prefix_length and any(starts):
        _close_gaps(cache, prefix_length, starts)
    return PrefillResult(cache, starts, None, logits)


def _slack(rows: list[Any]) -> int:
    """Room for the columns to come: short answers need little, and what is not there is not copied."""
    return min(SLACK, max(getattr(row, "room", SLACK) for row in rows))


def _read_pairs(network: Network, rows: list[Any]) -> PrefillResult:
    soft = rows[0].soft
    encoder_inputs, mask = _encoder_inputs(network, rows)
    encoded = network.module.get_encoder()(attention_mask=mask, **encoder_inputs)
    source = additive(mask.bool(), network.dtype)[:, None, None, :]
    prefix_length = max(len(row.decoder_prefix) for row in rows)
    starts = [prefix_length - len(row.decoder_prefix) for row in rows]
    decoder = [[row.decoder_prefix[0]] * start + row.decoder_prefix for row, start in zip(rows, starts, strict=True)]
    decoder_cache, cached = new_cache(network.layers), 0
    if soft is not None and soft.keys_values is not None:
        decoder_cache, cached = (
            expand_rows(network.prefix((), soft), len(rows), prefix_length + _slack(rows)),
            soft.size,
        )
    mask_table = network.table([[1] * cached + [0] * start + [1] * (prefix_length - start) for start in starts])
    cache = EncoderDecoderCache(decoder_cache, new_cache(network.layers, slack=0))
    logits = network.module(
        encoder_outputs=(encoded[0],),
        attention_mask=source,
        decoder_input_ids=network.table(decoder),
        decoder_attention_mask=mask_table,
        past_key_values=cache,
        use_cache=True,
    ).logits[:, -1]
    return PrefillResult(cache, starts, source, logits)


def _encoder_inputs(network: Network, rows: list[Any]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """What the encoder reads, with a soft prompt as embeddings (B, P + S, D), and the mask (B, P + S) over it."""
    soft, width = rows[0].soft, max(len(row.prompt) for row in rows)
    ids = network.table([row.prompt + [row.prompt[0]] * (width - len(row.prompt)) for row in rows])
    mask = network.table([[1] * len(row.prompt) + [0] * (width - len(row.prompt)) for row in rows])
    if soft is None or soft.embeddings is None:
        return {"input_ids": ids}, mask
    embeddings = network.module.get_input_embeddings()(ids)
    before = soft.embeddings.to(embeddings.device, embeddings.dtype).expand(len(rows), -1, -1)
    return {"inputs_embeds": torch.cat([before, embeddings], 1)}, torch.cat([mask.new_ones(before.shape[:2]), mask], 1)


def additive(allowed: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """0 where attention is allowed, the lowest finite number elsewhere."""
    lowest = torch.finfo(dtype).min
    return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill(~allowed, lowest)


def _common(rows: list[Any]) -> tuple[int, ...]:
    """The ids that all rows begin with, as far as every row says that it shares them; one id stays with each row."""
    length = min(min(row.shared, len(row.prompt) - 1) for row in rows)
    if length <= 0:
        return ()
    first = rows[0].prompt[:length]
    return tuple(first) if all(row.prompt[:length] == first for row in rows) else ()


def _close_gaps(cache: Any, shared: int, starts: list[int]) -> None:
    """Moves the shared columns right, next to each row's own, so that the padding stands on the left."""
    for layer in cache.layers:
        for row, gap in enumerate(starts):
            if gap:
                for table in (layer.keys, layer.values):
                    table[row, :, gap : gap + shared] = table[row, :, :shared].clone()
