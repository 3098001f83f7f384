"""Keys and values of the rows of a batch, in buffers that grow, join and lose rows.

All rows share the column that is written next, so a row that joins later begins further right: its columns before
`start` are masked. Relative positions are right by themselves and absolute ones are given per row.
"""

from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

SLACK = 64


class BufferLayer(CacheLayerMixin):
    """One layer: `keys` and `values` (B, H, capacity, D), of which `size` columns are filled."""

    is_sliding = False
    is_compileable = False

    def __init__(self, slack: int) -> None:
        super().__init__()
        self.size, self.slack = 0, slack
        self.keys: Any
        self.values: Any

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        self.keys = _roomy(key_states[:, :, :0], key_states.shape[2] + self.slack)
        self.values = _roomy(value_states[:, :, :0], value_states.shape[2] + self.slack)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Appends (B, H, n, D) and returns everything so far, (B, H, size, D)."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self.size + key_states.shape[2]
        self.make_room(end)
        self.keys[:, :, self.size : end] = key_states
        self.values[:, :, self.size : end] = value_states
        self.size = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def make_room(self, columns: int) -> None:
        """Grows the buffers by half, so that appending costs constant time a column."""
        if columns > self.keys.shape[2]:
            room = max(columns, self.size * 3 // 2) + self.slack
            self.keys = _roomy(self.keys[:, :, : self.size], room)
            self.values = _roomy(self.values[:, :, : self.size], room)

    def get_seq_length(self) -> int:
        return self.size

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.size + query_length, 0

    def get_max_cache_shape(self) -> int:
        return -1

    def get_max_length(self) -> int:
        return -1

    def rebuilt(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Takes (B, H, n, D) in place of what was there."""
        self.size = keys.shape[2]
        self.keys, self.values = _roomy(keys, self.size + self.slack), _roomy(values, self.size + self.slack)
        self.is_initialized = True


def new_cache(layers: int, slack: int = SLACK) -> Any:
    """`slack` is the room kept free for the next columns; attention over the encoder needs none."""
    return Cache(layers=[BufferLayer(slack) for _ in range(layers)])


def filled_columns(cache: Any, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values of a layer, (B, H, size, D)."""
    buffer = cache.layers[layer]
    return buffer.keys[:, :, : buffer.size], buffer.values[:, :, : buffer.size]


def expand_rows(cache: Any, rows: int, slack: int = SLACK) -> Any:
    """A cache of one row repeated for `rows` rows, with room for `slack` more columns."""
    wider = new_cache(len(cache.layers), slack)
    for layer in range(len(cache.layers)):
        keys, values = filled_columns(cache, layer)
        wider.layers[layer].rebuilt(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1))
    return wider


def pick_rows(cache: Any, rows: list[int], trim: int = 0) -> None:
    """Keeps these rows, in this order, without the first `trim` columns."""
    for layer in range(len(cache.layers)):
        keys, values = filled_columns(cache, layer)
        cache.layers[layer].rebuilt(keys[rows, :, trim:], values[rows, :, trim:])


def join_caches(cache: Any, other: Any, pad_left: bool) -> None:
    """Adds the rows of `more`; the shorter side is padded on the left (or right) with zeros."""
    for layer in range(len(cache.layers)):
        ours, theirs = filled_columns(cache, layer), filled_columns(other, layer)
        width = max(ours[0].shape[2], theirs[0].shape[2])
        both = [
            torch.cat([pad_table(a, width, pad_left), pad_table(b, width, pad_left)])
            for a, b in zip(ours, theirs, strict=True)
        ]
        cache.layers[layer].rebuilt(*both)


def pad_table(table: torch.Tensor, width: int, pad_left: bool) -> torch.Tensor:
    """(B, H, n, D) -> (B, H, width, D)."""
    missing = width - table.shape[2]
    if not missing:
        return table
    return torch.nn.functional.pad(table, (0, 0, missing, 0) if pad_left else (0, 0, 0, missing))


def _roomy(table: torch.Tensor, size: int) -> torch.Tensor:
    rows, heads, have, width = table.shape
    room = table.new_empty((rows, heads, max(size, have), width))
    room[:, :, :have] = table
    # Masked columns are multiplied by a weight of zero, which only finite numbers survive.
    room[:, :, have:] = 0
    return room
