"""`as_dict()`: one serialisation of every view, in JSON's own types."""

import importlib
import json
import math
import pkgutil
from dataclasses import dataclass, is_dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import genai_lab.services
from genai_lab.views import View, html_table, text_table, to_plain


@dataclass(frozen=True)
class Inner:
    path: Path
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Outer(View):
    _hidden = ("secret",)
    _computed = ("double",)
    number: int
    when: datetime
    inner: Inner
    by_pair: dict[tuple[str, int], float]
    secret: str = "hidden"

    @property
    def double(self) -> int:
        return 2 * self.number


def test_a_view_becomes_json_and_leaves_out_what_it_hides() -> None:
    when = datetime(2026, 1, 2, tzinfo=UTC)
    view = Outer(3, when, Inner(Path("a/b"), (0.5, math.nan)), {("x", 1): 2.0})
    assert json.loads(json.dumps(view.as_dict(), allow_nan=False)) == {
        "number": 3,
        "when": "2026-01-02T00:00:00+00:00",
        "inner": {"path": "a/b", "scores": [0.5, None]},
        "by_pair": {"x/1": 2.0},
        "double": 6,
    }
    assert to_plain({"array": np.arange(3), "number": np.float64(0.5), "set": {"b", "a"}}) == {
        "array": [0, 1, 2],
        "number": 0.5,
        "set": ["a", "b"],
    }


def test_tables_are_escaped_aligned_and_cut() -> None:
    rows = [{"name": "<b>", "value": 1.0}, {"name": "two", "value": None}]
    html = html_table(rows)
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert text_table(rows).splitlines() == ["name  value", "<b>       1", "two       –"]
    assert text_table([{"n": number} for number in range(100)]).splitlines()[-1] == "... 40 more rows"


# What services pass among themselves, holding tensors, sessions or functions.
INTERNAL = {
    "Resources", "WorkerExit", "WorkerName", "RunKind", "Prepared", "PreparedMatrix", "ResolvedPlan", "VersionSource",
}  # fmt: skip


def test_every_dataclass_that_a_service_returns_is_a_view() -> None:
    modules = [
        importlib.import_module(module.name)
        for module in pkgutil.walk_packages(genai_lab.services.__path__, "genai_lab.services.")
    ]
    without = {
        f"{module.__name__}.{name}"
        for module in modules
        for name, member in vars(module).items()
        if is_dataclass(member)
        and isinstance(member, type)
        and member.__module__ == module.__name__
        and member.__dataclass_params__.frozen  # type: ignore[attr-defined]
        and not name.startswith("_")
        and name not in INTERNAL
        and not hasattr(member, "as_dict")
    }
    assert not without
