"""Weights are read by one thread at a time, which tells whoever asked for them how far it is.

While transformers reads a model it replaces methods of the class that all models have, such as `tie_weights`. Two
threads at it together lose tied weights, and can leave the replacement in place for as long as the process lives.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from threading import RLock
from typing import Any, Literal

# PEFT asks a model by the name that transformers has replaced, each time an adapter is put on it.
warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
READING = RLock()
Unit = Literal["tensors", "bytes"]


@dataclass(frozen=True)
class LoadProgress:
    """How much of a model has been read."""

    done: int
    total: int
    unit: Unit = "tensors"

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0


_listener: ContextVar[Callable[[LoadProgress], None] | None] = ContextVar("load progress", default=None)


def report_progress(done: int, total: int, unit: Unit = "tensors") -> None:
    """Called by a backend while it loads; without a listener in this thread nothing happens."""
    if (listener := _listener.get()) is not None:
        listener(LoadProgress(done, total, unit))


@contextmanager
def progress_to(listener: Callable[[LoadProgress], None]) -> Iterator[None]:
    """Hands what is reported in this thread to `listener`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def reading_weights() -> Iterator[None]:
    """The turn of this thread to read weights by transformers, whose count of tensors is reported."""
    from transformers.utils.logging import set_tqdm_hook

    with READING:
        former = set_tqdm_hook(_count_tensors)
        try:
            yield
        finally:
            set_tqdm_hook(former)


def _count_tensors(bar: Callable[..., Any], values: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """transformers' progress bar; the one over the tensors of a model reports them in its place."""
    tensors = values[0] if values else None
    if options.get("desc") != "Loading weights" or not hasattr(tensors, "__len__"):
        return bar(*values, **options)
    return _reported(tensors)


def _reported(tensors: Any) -> Iterable[Any]:
    total = len(tensors)
    for done, tensor in enumerate(tensors):
        report_progress(done, total)
        yield tensor
    report_progress(total, total)
