"""Scores of reward models in the catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.models.scorer import PromptLike
from genai_lab.services import models
from genai_lab.services.packing import asked_of
from genai_lab.services.scorers import CachedScorer
from genai_lab.views import View
from storage import runs

MOST = 2000


@dataclass(frozen=True)
class Scored(View):
    """A completion of a run with its reward."""

    run: int
    model: str
    prompt: str
    text: str
    reward: float


def names(lab: LabContext) -> list[str]:
    """The reward models that are ready, in the catalogue's order."""
    return [
        view.card.name for view in models.catalogue(lab) if view.card.role == "reward" and view.status != "training"
    ]


def score(lab: LabContext, model: str, prompts: Sequence[PromptLike], completions: Sequence[str]) -> list[float]:
    """The reward of each completion of its prompt, in order, without unit.

    Raises LabError for a model that is not a reward model or not ready, or where the two are not equally many.
    """
    view = models.show(lab, model)
    if view.card.role != "reward":
        raise LabError(f"{model} is not a reward model; choose one, or train one on preferences.")
    models.check_ready(view)
    return CachedScorer(lab, view.card).rewards(prompts, completions)


def rank(lab: LabContext, model: str, prompt: PromptLike, completions: Sequence[str]) -> list[tuple[int, float]]:
    """(place in `completions`, reward), the best first; equal ones in the order given. Raises LabError as `score`."""
    values = score(lab, model, [prompt] * len(completions), completions)
    return sorted(enumerate(values), key=lambda one: (-one[1], one[0]))


def of_runs(lab: LabContext, model: str, run_ids: Sequence[int]) -> list[Scored]:
    """The rewards of completions that are there already: prompts in the order of the runs, each prompt's best first.

    Raises LabError for a run without completions, more than 2,000 of them, and as `score`.
    """
    rows: list[tuple[int, str, str, str]] = []
    prompts: list[PromptLike] = []
    with lab.database.reading() as session:
        for run_id in dict.fromkeys(run_ids):
            run = runs.run_with_all(session, run_id)
            mine = [item for item in run.generations if not (item.detail or {}).get("error")] if run else []
            if run is None or not mine:
                raise LabError(f"Run {run_id} has no completions to score; choose runs that have ended.")
            by = next((item.model.name for item in run.inputs if item.model is not None), "")
            rows += [(run_id, by, asked_of(run.settings, item.rendered_prompt), item.text) for item in mine]
            prompts += [messages_of(run.settings.get("prompt"), item.rendered_prompt) for item in mine]
    if len(rows) > MOST:
        raise LabError(f"These runs have {len(rows):,} completions; at most {MOST:,} are scored at once.")
    values = score(lab, model, prompts, [item[3] for item in rows])
    scored = [Scored(*item, value) for item, value in zip(rows, values, strict=True)]
    order = {prompt: n for n, prompt in enumerate(dict.fromkeys(item.prompt for item in scored))}
    return sorted(scored, key=lambda item: (order[item.prompt], -item.reward))


def messages_of(prompt: Any, rendered: str) -> PromptLike:
    """What a run asked: its messages where it was in chat, since the rendered text has its own model's template."""
    if not isinstance(prompt, dict) or prompt.get("mode") != "chat":
        return rendered
    return prompt.get("messages") or [{"role": "user", "content": prompt.get("text", "")}]
