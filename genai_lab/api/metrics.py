"""`@metric`: a function becomes a metric, on pages and in workers too.

A metric that is defined in a script or notebook is written, as source, to the data home's `plugins` folder, which is
imported when the lab opens and in every worker.
"""

import ast
import builtins
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, TypeVar, overload

import numpy as np

from genai_lab.bootstrap import PLUGINS
from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.files import atomic_write
from genai_lab.metrics import METRICS, Figure, NoSettings, Rows, Sample
from genai_lab.metrics.base import PredictionsPerRow

F = TypeVar("F", bound=Callable[..., Any])
CONSTANTS = (str, int, float, bool, tuple, frozenset, type(None))


class FunctionMetric:
    """A metric whose figure is the mean of a function's values, one a row."""

    settings = NoSettings
    citation = ""
    predictions_per_row: PredictionsPerRow = "one"

    def __init__(self, function: Callable[..., Any], name: str, title: str, figure: Figure) -> None:
        self.function, self.name, self.title = function, name, title
        self.about = " ".join((inspect.getdoc(function) or "").split())
        parameters = list(inspect.signature(function).parameters)
        if not 1 <= len(parameters) <= 2:
            raise LabError(
                f"{name} takes {len(parameters)} arguments; a metric takes (prediction) or (prediction, references)."
            )
        self.needs = "references" if len(parameters) == 2 else "text"
        self.figures = (figure,)

    def rows(
        self, predictions: Sequence[str], references: Sequence[Sequence[str]], settings: NoSettings, model: Any = None
    ) -> Rows:
        """One value a prediction; None where the function defines none."""
        several = references if self.needs == "references" else [()] * len(predictions)
        values = [
            self.function(prediction, list(each)) if self.needs == "references" else self.function(prediction)
            for prediction, each in zip(predictions, several, strict=True)
        ]
        parts = np.array([np.nan if value is None else float(value) for value in values])
        digest = hashlib.sha256(self.source.encode()).hexdigest()[:8]
        return Rows({self.name: Sample(parts)}, f"{self.name}|source {digest}")

    @property
    def source(self) -> str:
        """The function as it was written, with its decorator."""
        try:
            return textwrap.dedent(inspect.getsource(self.function))
        except (OSError, TypeError):
            raise LabError(f"The source of {self.name} cannot be found; define it in a file or a notebook.") from None


@overload
def metric(function: F) -> F: ...


@overload
def metric(
    *,
    name: str = "",
    title: str = "",
    low: float | None = None,
    high: float | None = None,
    higher_is_better: bool = True,
) -> Callable[[F], F]: ...


def metric(
    function: F | None = None,
    *,
    name: str = "",
    title: str = "",
    low: float | None = None,
    high: float | None = None,
    higher_is_better: bool = True,
) -> F | Callable[[F], F]:
    """Registers a function of (prediction) or (prediction, references) as a metric under its own name.

    It returns a number, or None for a row that defines none. `low` and `high` bound its range. Defining it again
    replaces it.
    """

    def register(function: F) -> F:
        own = name or function.__name__
        words = title or own.replace("_", " ").capitalize()
        figure = Figure(own, words.lower(), low, high, higher_is_better)
        METRICS.register(own, replace=True)(FunctionMetric(function, own, words, figure))
        function.metric_name = own  # type: ignore[attr-defined]
        return function

    return register if function is None else register(function)


def publish(context: LabContext, metrics: Any) -> None:
    """Writes the metrics that are functions to the data home, so that workers and pages know them."""
    from genai_lab.api.evaluation import choices_of

    for choice in choices_of(metrics) if metrics else ():
        found = METRICS.get(choice.metric)
        if isinstance(found, FunctionMetric):
            _write(context, found)


def _write(context: LabContext, found: FunctionMetric) -> None:
    folder = context.config.home / PLUGINS
    folder.mkdir(mode=0o700, exist_ok=True)
    path, text = folder / f"metric_{found.name}.py", module_source(found.function)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        with atomic_write(path) as draft:
            draft.write_text(text, encoding="utf-8")


def module_source(function: Callable[..., Any]) -> str:
    """A module that defines the function: its source below the imports, constants and functions that it uses."""
    head: list[str] = []
    bodies: dict[str, str] = {}
    _collect(function, head, bodies)
    return "\n".join([*dict.fromkeys(head), "", "", "\n\n".join(bodies.values())])


def _collect(function: Callable[..., Any], head: list[str], bodies: dict[str, str]) -> None:
    body = textwrap.dedent(inspect.getsource(function))
    names = {node.id for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Name)}
    scope: Mapping[str, Any] = function.__globals__  # type: ignore[attr-defined]
    for name in sorted(names & scope.keys() - vars(builtins).keys() - {function.__name__} - bodies.keys()):
        value = scope[name]
        if isinstance(value, ModuleType):
            head.append(f"import {value.__name__} as {name}")
        elif isinstance(value, CONSTANTS):
            head.append(f"{name} = {value!r}")
        elif inspect.isfunction(value) and value.__globals__ is scope:
            _collect(value, head, bodies)
        elif (module := getattr(value, "__module__", None)) and hasattr(value, "__qualname__"):
            head.append(f"from {module} import {value.__qualname__} as {name}")
        else:
            raise LabError(f"{function.__name__} uses {name}, which a worker cannot get; define it in the function.")
    bodies[function.__name__] = body
