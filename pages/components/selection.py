"""What a visitor has chosen on a page: panels never show the figures of another choice.

A page with a selection (campaigns, runs, evaluations, datasets) draws its head and clears its panels in one handler,
made by `Selection.on_choice`, and fills the panels in handlers made by `Selection.for_choice`. An answer that took so
long that another row was chosen meanwhile is dropped, so what is slow can be late but never wrong.
"""

import inspect
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import gradio as gr

from pages.components.errors import event_handler

VISITORS = 2000  # whose choices are remembered; the visitor that was seen longest ago is forgotten first


class Selection:
    """The choice of every visitor of one page, by Gradio's session.

    `key` makes it of the free arguments of a handler; without one the first argument is the choice.
    """

    def __init__(self, key: Callable[[tuple[Any, ...]], Any] = lambda given: given[0]) -> None:
        self._key = key
        self._choices: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def on_choice(self, fn: Callable[..., Any], *bound: Any) -> Callable[..., Any]:
        """`fn` with readable errors, for the event that a choice causes; its first free argument is the choice."""
        return self._wrap(fn, bound, choosing=True)

    def for_choice(self, fn: Callable[..., Any], *bound: Any) -> Callable[..., Any]:
        """`fn` with readable errors; its first free argument is the choice that it answers for.

        The answer is dropped where another row was chosen meanwhile.
        """
        return self._wrap(fn, bound, choosing=False)

    def choose(self, session: str | None, choice: Any) -> None:
        if session is None:
            return
        with self._lock:
            self._choices[session] = choice
            self._choices.move_to_end(session)
            while len(self._choices) > VISITORS:
                self._choices.popitem(last=False)

    def holds(self, session: str | None, choice: Any) -> bool:
        """Whether the visitor still looks at this choice; true for one who has chosen nothing yet."""
        with self._lock:
            return session is None or self._choices.get(session, choice) == choice

    def _wrap(self, fn: Callable[..., Any], bound: tuple[Any, ...], choosing: bool) -> Callable[..., Any]:
        inner = event_handler(fn, *bound)

        def answer(visitor: gr.Request, *arguments: Any) -> Any:
            choice = self._key(arguments)
            if choosing:
                self.choose(visitor.session_hash, choice)
            result = inner(*arguments)
            return result if self.holds(visitor.session_hash, choice) else gr.skip()

        free = list(inspect.signature(inner).parameters.values())
        request_parameter = inspect.Parameter("visitor", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=gr.Request)
        answer.__signature__ = inspect.Signature([request_parameter, *free])  # type: ignore[attr-defined]
        answer.__annotations__ = {**getattr(inner, "__annotations__", {}), "visitor": gr.Request}
        answer.__name__ = getattr(fn, "__name__", "answer")
        return answer
