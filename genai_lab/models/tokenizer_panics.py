"""Panics of libraries written in Rust: they are raised as no Exception, so that nothing else would catch them."""

from collections.abc import Iterator
from contextlib import contextmanager

from genai_lab.errors import ModelError

PANIC = "PanicException"


@contextmanager
def clear_panics(what: str) -> Iterator[None]:
    """Turns a panic into a ModelError about `what`, such as "The tokenizer of gpt2"."""
    try:
        yield
    except BaseException as problem:
        if type(problem).__name__ != PANIC:
            raise
        lines = str(problem).strip().splitlines() or ["no reason given"]
        raise ModelError(f"{what} failed on this text ({lines[0].rstrip('.')[:200]}); change the text.") from problem
