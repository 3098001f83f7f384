"""The loaded models: a memory budget, the least recently used idle one makes room, each is loaded once.

An adapter is made from the loaded generator of its base and counts its own bytes only; it never outlives that base.
"""

import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from genai_lab.errors import LabError, ModelError
from genai_lab.memory import release
from genai_lab.models import BACKENDS, Card, Generator, Options, Prompt, Request, Stream
from genai_lab.models.checks import size_text
from genai_lab.models.loaded_memory import engine_memory, memory_taken
from genai_lab.models.loading import LoadProgress, progress_to
from genai_lab.models.scorer import Scorer
from genai_lab.models.sizing import placed_options, scorer_bytes
from genai_lab.models.speed import Prepared
from genai_lab.models.watched_stream import WatchedStream

Loader = Callable[[Card, Options, Generator | None], Generator]
# A model in another dtype or on another device is another entry of the same budget: (name, dtype, device).
Key = tuple[str, str, str]


@dataclass(frozen=True)
class LoadedState:
    """`memory_bytes` is what loading took (as foreseen, unless `measured`) and the cache of one text that fills the
    context. `last_used` in seconds since the epoch; `rows_together` is the most rows that have shared a step. `dtype`
    and `device` are those of its card.
    """

    memory_bytes: int
    measured: bool
    busy: bool
    last_used: float
    seconds_to_load: float
    rows_together: int = 0
    dtype: str | None = None
    device: str | None = None


@dataclass
class _Entry:
    card: Card
    memory: int
    measured: bool = False
    below: "_Entry | None" = None
    generator: Generator | None = None
    error: LabError | None = None
    last_used: float = field(default_factory=time.time)
    seconds: float = 0.0
    progress: LoadProgress | None = None
    users: int = 0
    streams: list["weakref.ref[WatchedStream]"] = field(default_factory=list)

    @property
    def loading(self) -> bool:
        return self.generator is None and self.error is None

    def rows_together(self) -> int:
        return int(getattr(getattr(self.generator, "scheduler", None), "largest", 0))

    def busy(self) -> bool:
        """Someone is calling the model, or a stream of it is under way; what nobody holds any more does not count."""
        alive = [(ref, ref()) for ref in self.streams]
        self.streams = [ref for ref, stream in alive if stream is not None and not stream.ended]
        return self.loading or self.users > 0 or bool(self.streams)


class ModelCache:
    """Generators by name. What `acquire` gives stays usable for ever: it loads its model again if it made room."""

    def __init__(self, budget_bytes: int, options: Options, load: Loader | None = None) -> None:
        self.budget_bytes, self.options = budget_bytes, options
        self._load = load or (lambda card, options, base: BACKENDS.get(card.source.backend).load(card, options, base))
        self._entries: dict[Key, _Entry] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._loading = 0

    def acquire(self, card: Card, base: Card | None = None) -> Generator:
        """The model, loaded if need be, and below an adapter its `base` first.

        Raises ModelError, before anything is loaded, when it cannot fit into the budget.
        """
        handle = _Held(self, card, base)
        with self._using(card, base):
            return handle

    def unload(self, name: str) -> None:
        """Frees the memory of the model, in whichever dtypes it is loaded, and of the adapters on it; streams under way
        end as cancelled. Nothing happens if it is not loaded.
        """
        for key in [key for key in list(self._entries) if key[0] in (name, scoring_name(name))]:
            self._unload(key)

    def unload_card(self, card: Card) -> None:
        """Frees the model as this card loads it, and leaves it in other dtypes as it is."""
        self._unload(_key(card))

    def _unload(self, key: Key) -> None:
        with self._changed:
            entry = self._entries.get(key)
            while entry is not None and any(related.loading for related in self._with_above(entry)):
                self._changed.wait()
            if entry is None or self._entries.get(key) is not entry:
                return
            gone = self._taken_out(entry)
        _end(gone)

    def loaded(self) -> dict[str, LoadedState]:
        """By name; of a model in several dtypes the one last used has its name, others NAME (DTYPE, DEVICE)."""
        states: dict[str, LoadedState] = {}
        with self._changed:
            ready = [entry for entry in self._entries.values() if entry.generator is not None]
            latest = {e.card.name: e for e in sorted(ready, key=lambda entry: entry.last_used)}
            for entry in ready:
                name = entry.card.name
                label = name if latest[name] is entry else f"{name} ({', '.join(filter(None, _key(entry.card)[1:]))})"
                states[label] = self._state(entry)
        return states

    def state_of(self, card: Card) -> LoadedState | None:
        """The model as this card loads it; None where it is not loaded so."""
        with self._changed:
            entry = self._entries.get(_key(card))
            return self._state(entry) if entry is not None and entry.generator is not None else None

    def _state(self, entry: _Entry) -> LoadedState:
        return LoadedState(
            entry.memory, entry.measured, self._busy(entry), entry.last_used, entry.seconds, entry.rows_together(),
            entry.card.loaded_dtype, entry.card.device,
        )  # fmt: skip

    def loading(self) -> dict[str, LoadProgress | None]:
        """The models that are being read, and how far each is; None where that is not known."""
        with self._changed:
            return {entry.card.name: entry.progress for entry in self._entries.values() if entry.loading}

    @property
    def used_bytes(self) -> int:
        with self._changed:
            return self._used()

    def close(self) -> None:
        """Ends every stream and frees every model; nothing can be loaded afterwards."""
        with self._changed:
            self._closed = True
        for key in list(self._entries):
            self._unload(key)

    @contextmanager
    def scoring(self, card: Card, load: Callable[..., Any] | None = None) -> Iterator[Any]:
        """The model as a `Scorer` (classifier, reward model, judge): in the same budget, loaded once whoever asks.

        It cannot make room for others before the block ends. A model that generates is loaded once more for it.
        """
        if card.role == "generate":
            card.require_torch("the log-probability of a given text")
            name, memory = scoring_name(card.name), _scorer_bytes(card)
            card = replace(card, name=name, memory_bytes=memory, cache_bytes=0, loaded_dtype=None, device=None)
        with self._using(card, load=load or _load_scorer) as entry:
            yield entry.generator

    @contextmanager
    def _using(self, card: Card, base: Card | None = None, load: Callable[..., Any] | None = None) -> Iterator[_Entry]:
        """The loaded entry, which cannot make room for others meanwhile, nor can what is below it."""
        entry = self._enter(card, load=load) if base is None else self._enter_above(card, base)
        try:
            yield entry
        finally:
            with self._changed:
                entry.users -= 1
                entry.last_used = time.time()

    def _enter_above(self, card: Card, base: Card) -> _Entry:
        while True:
            with self._changed:
                entry = self._entries.get(_key(card))
                below = entry.below if entry is not None and not entry.loading and _same(entry.card, card) else None
                if entry is not None and below is not None and _same(below.card, base):
                    entry.users += 1
                    return entry
                self._refuse_more_than_all(card, base)
            with self._using(base) as below, suppress(_Gone):
                return self._enter(card, below)

    def _enter(self, card: Card, below: _Entry | None = None, load: Callable[..., Any] | None = None) -> _Entry:
        """Raises _Gone where `below` has been unloaded meanwhile."""
        with self._changed:
            while True:
                self._refuse_when_closed()
                if below is not None and self._entries.get(_key(below.card)) is not below:
                    raise _Gone
                entry = self._entries.get(_key(card))
                if entry is None:
                    break
                if entry.loading:
                    self._wait(entry)
                elif _same(entry.card, card) and entry.below is below:
                    entry.users += 1
                    return entry
                elif above := [adapter for adapter in self._with_above(entry) if adapter.loading]:
                    self._wait(above[0])
                else:
                    _end(self._taken_out(entry))
            gone = self._make_room(card)
            entry = self._entries[_key(card)] = _Entry(card, card.memory_bytes or 0, below=below, users=1)
        _end(gone)
        self._fill(entry, load or self._load)
        return entry

    def _wait(self, entry: _Entry) -> None:
        while entry.loading:
            self._changed.wait()
        if entry.error is not None:
            raise entry.error

    def _fill(self, entry: _Entry, load: Callable[..., Any]) -> None:
        with self._changed:
            self._loading += 1
            alone = self._loading == 1
        began = time.perf_counter()
        try:
            before = engine_memory() if entry.card.has_weights else 0
            with progress_to(lambda progress: setattr(entry, "progress", progress)):
                generator = load(
                    entry.card, placed_options(self.options, entry.card), entry.below.generator if entry.below else None
                )
        except BaseException as problem:
            with self._changed:
                message = f"{entry.card.name} could not be loaded."
                entry.error = problem if isinstance(problem, LabError) else ModelError(message)
                self._entries.pop(_key(entry.card), None)
                self._loading -= 1
                self._changed.notify_all()
            raise
        measured = memory_taken(entry.card, generator, before)
        with self._changed:
            if measured is not None and alone and self._loading == 1:
                entry.memory, entry.measured = measured, True
            entry.generator, entry.seconds = generator, time.perf_counter() - began
            self._loading -= 1
            self._changed.notify_all()

    def _make_room(self, card: Card) -> list[_Entry]:
        """Takes the least recently used idle models out until `card` fits; the caller ends what it returns."""
        self._refuse_more_than_all(card)
        needed = card.memory_bytes or 0
        idle = sorted((e for e in self._entries.values() if e.memory and not self._busy(e)), key=self._last_used)
        free = self.budget_bytes - self._used()
        if needed > free + sum(entry.memory for entry in idle):
            busy = ", ".join(sorted({e.card.name for e in self._entries.values() if e.memory and self._busy(e)}))
            raise ModelError(
                f"{card.name} needs {size_text(needed)} of memory, and of the budget's {size_text(self.budget_bytes)} "
                f"only {size_text(max(free, 0) + sum(entry.memory for entry in idle))} can be freed while {busy} is in "
                "use; wait, or stop that."
            )
        gone: list[_Entry] = []
        while needed > self.budget_bytes - self._used():
            gone += self._taken_out(idle.pop(0))
        return gone

    def _refuse_more_than_all(self, card: Card, base: Card | None = None) -> None:
        needed = (card.memory_bytes or 0) + (base.memory_bytes or 0 if base else 0)
        if needed > self.budget_bytes:
            raise ModelError(
                f"{card.name} needs {size_text(needed)} of memory{' with its base' if base else ''}, but the budget "
                f"for models is {size_text(self.budget_bytes)}; raise GENAI_LAB_MEMORY_GB or choose a smaller model or "
                "dtype."
            )

    def _with_above(self, entry: _Entry) -> list[_Entry]:
        """The adapters on the entry, and the entry itself last."""
        return [*(adapter for adapter in self._entries.values() if adapter.below is entry), entry]

    def _taken_out(self, entry: _Entry) -> list[_Entry]:
        """Takes the entry and what stands on it out, in the order in which the caller ends them."""
        gone = [related for related in self._with_above(entry) if self._entries.get(_key(related.card)) is related]
        for related in gone:
            del self._entries[_key(related.card)]
        self._changed.notify_all()
        return gone

    def _busy(self, entry: _Entry) -> bool:
        return any(related.busy() for related in self._with_above(entry))

    def _last_used(self, entry: _Entry) -> tuple[float, bool]:
        """Adapters make room before their base."""
        return max(related.last_used for related in self._with_above(entry)), entry.below is None

    def _used(self) -> int:
        return sum(entry.memory for entry in self._entries.values())

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise ModelError("The lab is closing; no model can be used any more.")


class _Held:
    """What `acquire` gives: calls go to the loaded model, and its streams keep it from making room."""

    def __init__(self, cache: ModelCache, card: Card, base: Card | None) -> None:
        self.card, self._cache, self._base = card, cache, base

    def submit(self, requests: Sequence[Request]) -> list[Stream]:
        with self._cache._using(self.card, self._base) as entry:
            assert entry.generator is not None
            inner = entry.generator.submit(requests)
            streams = [
                WatchedStream(stream, request.sampling.num_return_sequences)
                for stream, request in zip(inner, requests, strict=True)
            ]
            entry.streams += [weakref.ref(stream) for stream in streams]
            return list(streams)

    def count_tokens(self, prompt: Prompt) -> int | None:
        return self._call("count_tokens", prompt)

    def tokenize(self, text: str) -> list[tuple[int, str]]:
        return self._call("tokenize", text)

    def context_ids(self, prompt: Prompt) -> tuple[int, ...]:
        return self._call("context_ids", prompt)

    def prefix_text(self, prompt: Prompt) -> str:
        return self._call("prefix_text", prompt)

    def token_text(self, token_id: int) -> str:
        return self._call("token_text", token_id)

    def prepare(self) -> None:
        """Makes at once what a model of this process makes between texts, so that its speed can be measured."""
        with self._cache._using(self.card, self._base) as entry:
            if isinstance(entry.generator, Prepared):
                entry.generator.prepare()

    def close(self) -> None:
        self._cache.unload(self.card.name)

    def _call(self, method: str, *values: Any) -> Any:
        with self._cache._using(self.card, self._base) as entry:
            return getattr(entry.generator, method)(*values)


class _Gone(Exception):
    """The base has been unloaded before its adapter was made."""


def _key(card: Card) -> Key:
    return card.name, card.loaded_dtype or "", card.device or ""


def _same(first: Card, other: Card) -> bool:
    return (first.source, first.content_hash, first.path) == (other.source, other.content_hash, other.path)


def scoring_name(name: str) -> str:
    """The entry of a model that generates, loaded once more to score texts."""
    return f"{name} (judge)"


def _scorer_bytes(card: Card) -> int:
    return scorer_bytes(card.parameters or 0) if card.has_weights else card.memory_bytes or 0


def _load_scorer(card: Card, options: Options, base: Generator | None) -> Scorer:
    return BACKENDS.get(card.source.backend).load_scorer(card, options)


def _end(entries: list[_Entry]) -> None:
    for entry in entries:
        for ref in entry.streams:
            if (stream := ref()) is not None and not stream.ended:
                stream.cancel()
        # A scorer in the middle of a call is freed when that has ended.
        if entry.generator is not None and not (entry.users and isinstance(entry.generator, Scorer)):
            entry.generator.close()
    if any(entry.card.path is not None for entry in entries):
        release()
