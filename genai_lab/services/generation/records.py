"""Recorded runs of models on prompts: how they are read, and what they remember of themselves."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.decoding import Completion, Sampling
from genai_lab.errors import LabError
from genai_lab.models import Card, Prompt
from genai_lab.services import models, packing, runs
from genai_lab.views import View
from storage import runs as queries
from storage.tables import Run, RunInput

KIND = "generate"


@dataclass(frozen=True)
class GenerationSpec(View):
    """One prompt for one model, as compare and grid send several of."""

    model: str
    prompt: Prompt
    sampling: Sampling


@dataclass(frozen=True)
class Stats(View):
    """Times in seconds; `context` is the model's room in tokens, None where it is not known."""

    first_token_seconds: float | None
    tokens_per_second: float | None
    prompt_tokens: int
    completion_tokens: int
    context: int | None
    seconds: float


@dataclass(frozen=True)
class RunView(View):
    """A recorded run, ready to be shown."""

    id: int
    model: str
    prompt: Prompt
    rendered: str
    sampling: Sampling
    seed: int
    status: str
    error: str | None
    created_at: datetime
    seconds: float | None
    code_revision: str
    dirty: bool
    packages: dict[str, str]
    device: str
    dtype: str | None
    model_hash: str | None
    parent_run_id: int | None
    group: str | None
    completions: tuple[Completion, ...]

    @property
    def mode(self) -> str:
        return self.prompt.mode


def run(lab: LabContext, run_id: int) -> RunView:
    """The recorded run; raises LabError where there is none."""
    with lab.database.reading() as session:
        row = queries.run_with_all(session, run_id)
    if row is None or row.kind != KIND:
        raise LabError(f"There is no run {run_id}; the history lists the existing ones.")
    return view_of(row)


def group_runs(lab: LabContext, group: str) -> list[RunView]:
    """The runs that were begun together; raises LabError where there are none."""
    with lab.database.reading() as session:
        rows = queries.runs_of_group(session, group)
    if not rows:
        raise LabError(f"There is no comparison {group!r}; the history lists the existing ones.")
    return [view_of(row) for row in rows]


def view_of(row: Run) -> RunView:
    settings, model_input = row.settings, row.model_input
    prompt = Prompt(**{**settings["prompt"], **_tuples(settings["prompt"])})
    return RunView(
        id=row.id,
        model=model_input.model.name,
        prompt=prompt,
        rendered=row.generations[0].rendered_prompt if row.generations else prompt.text,
        sampling=Sampling.from_dict(settings["sampling"]),
        seed=row.seed,
        status=row.status,
        error=row.error,
        created_at=row.created_at,
        seconds=row.seconds,
        code_revision=row.code_revision,
        dirty=row.dirty,
        packages=row.packages,
        device=row.device,
        dtype=row.dtype,
        model_hash=model_input.content_hash,
        parent_run_id=row.parent_id,
        group=row.group,
        completions=tuple(map(packing.completion_of, row.generations)),
    )


def begin_run(
    lab: LabContext,
    session: Session,
    spec: GenerationSpec,
    model_id: int,
    card: Card,
    trace: int = 0,
    parent_id: int | None = None,
    group: str | None = None,
    status: str = "running",
    seconds: float | None = None,
) -> Run:
    """The run of one prompt to one model, added within the caller's transaction."""
    settings = {"sampling": spec.sampling.as_dict(), "prompt": asdict(spec.prompt), "trace": trace}
    inputs = [RunInput(role="model", model_id=model_id, content_hash=card.content_hash)]
    return runs.begin(
        session, KIND, inputs, settings, spec.sampling.seed or 0, device=card.device or lab.config.device,
        dtype=card.loaded_dtype, status=status, parent_id=parent_id, group=group, seconds=seconds,
    )  # fmt: skip


def stats_of(lab: LabContext, view: RunView) -> Stats:
    """The figures of a recorded run, as they were measured."""
    return stats_from(view.completions, models.show(lab, view.model).card.context)


def stats_from(completions: Sequence[Completion], context: int | None) -> Stats:
    first, seconds = _first_token(completions), max((c.seconds for c in completions), default=0.0)
    tokens = sum(c.completion_tokens for c in completions)
    rate = rate_of(tokens + sum(c.reasoning_tokens for c in completions), seconds, first)
    prompt = max((c.prompt_tokens for c in completions), default=0)
    return Stats(first, rate, prompt, tokens, context, seconds)


def _first_token(completions: Sequence[Completion]) -> float | None:
    return min((c.first_token_seconds for c in completions if c.first_token_seconds is not None), default=None)


def rate_of(tokens: int, seconds: float, first: float | None) -> float | None:
    """Tokens a second after the first one; where all came at once, from the beginning."""
    drawing = seconds - (first or 0.0)
    if tokens > 1 and drawing > 0:
        return (tokens - 1) / drawing
    return tokens / seconds if tokens and seconds > 0 else None


def _tuples(prompt: dict[str, Any]) -> dict[str, Any]:
    return {"messages": tuple(prompt["messages"]), "prefix": tuple(prompt["prefix"])}
