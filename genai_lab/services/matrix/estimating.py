"""What a matrix will cost before it runs: prompts counted on a few rows, speeds recorded or measured on them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from genai_lab.errors import LabError
from genai_lab.lab import Lab
from genai_lab.services import models
from genai_lab.services.datasets import VersionView
from genai_lab.services.matrix import Cell, Plan, cell_settings, checked
from genai_lab.services.matrix.predicting import Asked, CellPlan, answers, asked
from storage import matrix as queries

PROBED = 8


@dataclass(frozen=True)
class Estimate:
    """`prompt_tokens` are exact on a few rows and scaled up; `completion_tokens` what models wrote before or in the
    probe. `minutes` is None where the speed of a model is not known; `source` says where speeds come from.
    """

    cells: int
    rows: int
    requests: int
    prompt_tokens: int | None
    completion_tokens: int
    minutes: float | None
    source: str
    fewer: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """One line for a person."""
        tokens = f"{self.prompt_tokens + self.completion_tokens:,}" if self.prompt_tokens is not None else "unknown"
        cells = f"{self.cells} cell{'s' if self.cells != 1 else ''}"
        return (
            f"{cells} x {self.rows:,} rows = {self.requests:,} requests, about {tokens} tokens, "
            f"{minutes_text(self.minutes)} on this machine ({self.source})."
        )


@dataclass(frozen=True)
class _Pace:
    """Seconds a token of a model, and how many tokens it writes a row; None where it is not known."""

    seconds: float | None
    written: float
    probed: bool


def minutes_text(minutes: float | None) -> str:
    if minutes is None:
        return "time unknown"
    return f"about {minutes * 60:.0f} s" if minutes < 2 else f"about {minutes:.0f} minutes"


def estimate(lab: Lab, plan: Plan) -> Estimate:
    """Raises LabError where the matrix could not start. Models without recorded speed are tried on a few rows."""
    cells, version = checked(lab, plan)
    rows = min(plan.rows, version.splits[plan.split])
    prompts: dict[tuple[str, str, int], list[Asked]] = {}
    for cell in cells:
        key = (cell.model, cell.template, cell.k)
        if key not in prompts:
            prompts[key] = asked(lab, _probe_plan(plan, cell, version))
    paces = {name: _pace(lab, plan, cells, version, prompts, name) for name in plan.models}
    read, written, seconds, known = 0.0, 0.0, 0.0, True
    for cell in cells:
        sizes = [one.fitted.tokens for one in prompts[cell.model, cell.template, cell.k]]
        known = known and None not in sizes
        mean = sum(size or 0 for size in sizes) / len(sizes)
        pace = paces[cell.model]
        length = min(pace.written or cell.sampling.max_new_tokens, cell.sampling.max_new_tokens)
        read, written = read + rows * mean, written + rows * length
        seconds += rows * (mean + length) * (pace.seconds or 0.0)
    timed = all(pace.seconds is not None for pace in paces.values())
    return Estimate(
        cells=len(cells),
        rows=rows,
        requests=len(cells) * rows,
        prompt_tokens=round(read) if known else None,
        completion_tokens=round(written),
        minutes=seconds / 60 if timed else None,
        source=_source(paces),
        fewer=tuple(_fewer(prompts)),
    )


def _probe_plan(plan: Plan, cell: Cell, version: VersionView) -> CellPlan:
    settings = cell_settings(cell, plan) | {"rows": min(PROBED, plan.rows)}
    return CellPlan(cell.model, cell.template, version.id, settings, cell.seed)


def _pace(
    lab: Lab,
    plan: Plan,
    cells: Sequence[Cell],
    version: VersionView,
    prompts: dict[tuple[str, str, int], list[Asked]],
    name: str,
) -> _Pace:
    view = models.show(lab, name)
    with lab.database.reading() as session:
        found = queries.speed(session, view.id, view.card.content_hash)
    if found is not None and found.prompt_tokens + found.completion_tokens:
        tokens = found.prompt_tokens + found.completion_tokens
        return _Pace(found.seconds / tokens, found.completion_tokens / found.rows, probed=False)
    if view.card.family == "endpoint":
        return _Pace(None, 0.0, probed=False)
    cell = max((one for one in cells if one.model == name), key=lambda one: one.k)
    began = time.perf_counter()
    made = list(answers(lab, _probe_plan(plan, cell, version), prompts[name, cell.template, cell.k], use_cache=False))
    seconds = time.perf_counter() - began
    problem = next((one.error for one in made if one.error), None)
    if problem:
        raise LabError(problem)
    tokens = sum(one.prompt_tokens + one.completion_tokens for one in made)
    return _Pace(seconds / max(1, tokens), sum(one.completion_tokens for one in made) / len(made), probed=True)


def _source(paces: dict[str, _Pace]) -> str:
    probed = [name for name, pace in paces.items() if pace.probed]
    unknown = [name for name, pace in paces.items() if pace.seconds is None]
    if unknown:
        return f"no speed is known of {', '.join(unknown)}"
    if len(probed) == len(paces):
        return f"measured now on {PROBED} rows"
    if probed:
        return f"from earlier runs, {', '.join(probed)} measured now on {PROBED} rows"
    return "from the speed of earlier runs"


def _fewer(prompts: dict[tuple[str, str, int], list[Asked]]) -> list[str]:
    """Where the context does not hold all shots of all rows tried."""
    made = []
    for (model, template, k), found in prompts.items():
        least = min(one.fitted.k for one in found)
        if least < k:
            made.append(f"{least} of {k} shots fit the context of {model} with {template}")
    return made
