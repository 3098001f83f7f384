"""The one place where a handler's error becomes a sentence on the page."""

import functools
import html
import inspect
import logging
import secrets
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

from genai_lab.errors import LabError
from genai_lab.services import databases

log = logging.getLogger(__name__)

# What every event that is only plumbing passes on: not on the API page, and no veil over its outputs.
INTERNAL: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def event_handler(fn: Callable[..., Any], *bound: Any) -> Callable[..., Any]:
    """`fn` with its first arguments bound (usually the lab) and its errors made readable; generators too.

    A LabError shows as it is, with role="alert"; anything else is logged with an id that the page names. Following
    `.success` handlers do not run after either. Parameters typed gr.Request, gr.EventData or gr.SelectData still
    arrive.
    """
    if inspect.isgeneratorfunction(fn):

        @functools.wraps(fn)
        def wrapper(*args: object) -> Any:
            with _readable():
                yield from fn(*bound, *args)

    else:

        @functools.wraps(fn)
        def wrapper(*args: object) -> Any:
            with _readable():
                return fn(*bound, *args)

    free = list(inspect.signature(fn).parameters.values())[len(bound) :]
    hints = typing.get_type_hints(fn)
    del wrapper.__wrapped__  # Gradio would look through it and count the bound parameters
    wrapper.__signature__ = inspect.Signature(free)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {item.name: hints[item.name] for item in free if item.name in hints}
    return wrapper


def notice(message: str) -> None:
    """A short good word in the corner, for what else would leave no trace on the page."""
    gr.Info(html.escape(message, quote=False), duration=4, title="Done")


def show_warning(message: str) -> None:
    """What could not be done as asked, in the corner, while the rest was."""
    gr.Warning(html.escape(message, quote=False), duration=8, title="Partly done")


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except LabError as problem:
        raise error_notice(str(problem), "That did not work") from problem
    except gr.Error:
        raise
    except Exception as problem:
        if sentence := databases.sentence(problem):
            log.warning("the database cannot be used: %s", databases.reason(problem))
            raise error_notice(sentence, "That did not work") from problem
        code = secrets.token_hex(2)
        log.exception("error %s", code)
        raise error_notice(
            f"Something went wrong (error {code}); the log has the details.", "Something went wrong"
        ) from problem


def error_notice(sentence: str, title: str) -> gr.Error:
    """The page renders messages as HTML, so whatever the user typed is escaped."""
    return gr.Error(html.escape(sentence, quote=False), duration=15, title=title, print_exception=False)
