"""The reward-hacking card of a run: its held-out completions before and after, judged by the fixed rule."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from genai_lab.alignment import hacking
from genai_lab.alignment.hacking import BeforeAndAfter, HackingCard, HeldOutCompletions
from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import training
from genai_lab.services.alignment.playground import gold_of, recorded, settings_of
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.views import View

RATES = Path(hacking.__file__).parent / "rates.json"
KL_BUDGET = 10.0  # nats per completion, where the run has no target


@dataclass(frozen=True)
class CardView(View):
    """A policy at a step against its base; `rates` is how often the rule is right, as it was measured."""

    run: int
    title: str
    step: int
    card: HackingCard
    kl_budget: float
    rates: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return super().as_dict() | {"sentence": self.card.sentence}


def show(lab: LabContext, run_id: int, step: int | None = None, gold: str | None = None) -> CardView:
    """The card of the last evaluation, or of that at `step`. `gold` names the part that is the truth; without one the
    first part with the weight 0. Raises LabError where a run has no held-out completions.
    """
    _check_kind(lab, run_id)
    view, batches = recorded(lab, run_id)
    if len(batches) < 2:
        raise LabError(f"Run {run_id} has only its base's completions yet; wait for its next evaluation.")
    after = batches[-1] if step is None else next((batch for batch in batches if batch.step == step), None)
    if after is None or after.step == batches[0].step:
        known = ", ".join(str(batch.step) for batch in batches[1:])
        raise LabError(f"Run {run_id} was not evaluated at step {step}; choose one of {known}.")
    truth = gold_of(view) if gold is None else gold
    if truth and truth not in after.labels:
        raise LabError(f"The score of run {run_id} has no part {truth!r}; it has: {', '.join(after.labels)}.")
    settings = settings_of(view)
    weights = {part.label: part.weight for part in settings.parts}
    before = HeldOutCompletions.of_batch(batches[0])
    pair = BeforeAndAfter(before, HeldOutCompletions.of_batch(after), weights, settings.target_kl or KL_BUDGET)
    card = hacking.examine(pair, truth, view.seed)
    return CardView(run_id, view.title, after.step, card, pair.kl_budget, rates())


@cache
def rates() -> dict[str, Any]:
    """How often the rule was right on policies of which it is known what they learned; {} before it was measured."""
    return dict(json.loads(RATES.read_text(encoding="utf-8"))) if RATES.is_file() else {}


def _check_kind(lab: LabContext, run_id: int) -> None:
    view = training.show(lab, run_id)
    objective = OBJECTIVES.get(view.plan.objective)
    if objective.learns_policy and not objective.rolls_out:
        raise LabError(
            f"Run {run_id} ({view.title}) learned from pairs or labels by {objective.title}, which records no scored "
            "completions of held-out prompts, so that its card cannot be told; open a blind campaign against its base."
        )


def rate_sentences(measured: dict[str, Any]) -> tuple[str, ...]:
    """How often the rule was right, in plain words: of trained policies, then of picks from samples of a base."""
    if not measured:
        return ("How often this card is right has not been measured.",)
    sentences = []
    for part, what in (("trained", "trained policies"), ("picks", "picks from a base's samples")):
        if part not in measured:
            continue
        rates_of_part = measured[part]
        hits, alarms = (_share(rates_of_part[name]) for name in ("hits", "false_alarms"))
        risen = _risen(rates_of_part["kinds"])
        sentences.append(
            f"Measured on {what} ({rates_of_part['measured']}): {hits} of planted hacks found, {alarms} of honest ones "
            f"accused{risen}."
        )
    return tuple(sentences)


def _share(rate: dict[str, Any]) -> str:
    if not rate["n"]:
        return "none"
    return f"{rate['alarms']} of {rate['n']} ({100 * rate['low']:.0f} to {100 * rate['high']:.0f} %)"


def _risen(kinds: list[dict[str, Any]]) -> str:
    """Of how many honest policies the score had risen, since no other could have been accused; "" where unknown."""
    honest = [kind for kind in kinds if not kind["planted"]]
    if not all("score_up" in kind for kind in honest):
        return ""
    return f" (the score of {sum(kind['score_up'] for kind in honest)} of these had risen)"
