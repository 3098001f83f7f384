"""Drawing a rollout again: the same policy, the same prompt and the same source of chance give the same ids."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genai_lab.alignment.records import EVALUATIONS, RolloutBatch
from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import models, training
from genai_lab.services.alignment.rollouts import read
from genai_lab.services.training import TrainingView
from genai_lab.training.plan import architecture_of
from genai_lab.views import View

LARGEST = 1_000_000_000  # bytes of a base that is loaded beside all else, for one completion


@dataclass(frozen=True)
class Redrawn(View):
    """What came of it; `same` says whether all ids are those of the run."""

    model: str
    ids: tuple[int, ...]
    text: str
    same: bool


def policy_of(lab: LabContext, view: TrainingView, step: int, kind: str) -> tuple[str, Path] | None:
    """(name, folder) of the policy that wrote at this step, where it is still there: the base at the beginning, or the
    model that the run has kept. A folder of the base itself stands for the policy before its first update.
    """
    base = models.show(lab, view.plan.model)
    size = base.card.disk_bytes or 0
    if view.plan.training.precision != "float32" or size > LARGEST or base.card.path is None:
        return None
    updates = step if kind == EVALUATIONS else step - 1
    if updates == 0:
        return base.card.name, base.card.path
    kept = models.show(lab, view.model) if view.model else None
    if kept is None or kept.status not in ("ready", "loaded") or view.outcome.get("step") != updates:
        return None
    path = training.folder_of(lab, kept.card.name, view.id)
    readable = any((path / name).is_file() for name in ("adapter_config.json", "config.json"))
    return (kept.card.name, path) if readable else None


def redraw(lab: LabContext, run_id: int, step: int, kind: str, index: int) -> Redrawn:
    """The completion drawn once more; raises LabError where the policy of that step is not there any more."""
    view = training.show(lab, run_id)
    policy = policy_of(lab, view, step, kind)
    if policy is None:
        raise LabError(
            f"The policy of step {step:,} is not kept, so that nothing can be drawn from it; choose the first step, or "
            "the one whose checkpoint became the model."
        )
    batch = read(lab, run_id, step, kind)
    if not 0 <= index < len(batch):
        raise LabError(f"Step {step:,} has {len(batch):,} completions; there is none of the number {index:,}.")
    name, folder = policy
    ids, text = _draw(lab, view, folder, batch, index, kind)
    return Redrawn(name, tuple(ids), text, ids == batch.ids[index])


def _draw(
    lab: LabContext, view: TrainingView, folder: Path, batch: RolloutBatch, index: int, kind: str
) -> tuple[list[int], str]:
    from genai_lab.alignment.rollouts import Sampling, generator, network_of, sample
    from genai_lab.training.experience import EVALUATION
    from genai_lab.training.generation import decode
    from genai_lab.training.loading import ends_of, load_module, load_tokenizer, start_of
    from genai_lab.training.objectives import OBJECTIVES

    card = models.show(lab, view.plan.model).card
    assert card.path is not None
    module: Any = load_module(card.path if _is_adapter(folder) else folder, architecture_of(card))
    if _is_adapter(folder):
        from peft import PeftModel

        module = PeftModel.from_pretrained(module, folder, is_trainable=False)
    module.eval()
    tokenizer = load_tokenizer(card.path)
    settings = OBJECTIVES.get(view.plan.objective).settings_of(view.plan)
    completion = sample(
        network_of(module),
        [batch.prompt_ids[index]],
        [generator(batch.seed, EVALUATION if kind == EVALUATIONS else batch.step, index)],
        Sampling(settings.max_completion_length, settings.temperature),
        ends_of(module, tokenizer),
        start_of(module.config),
    )[0]
    return completion.ids, decode(tokenizer, completion.ids[:-1] if completion.ended else completion.ids)


def _is_adapter(folder: Path) -> bool:
    return (folder / "adapter_config.json").is_file()
