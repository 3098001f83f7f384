"""The completions of a policy's run, while it learns and afterwards."""

from pathlib import Path

from genai_lab.alignment.records import EVALUATIONS, ROLLOUTS, RolloutBatch, rollout_path, rollout_steps
from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import jobs, training


def folder(lab: LabContext, run_id: int, kind: str = ROLLOUTS) -> Path:
    """Where the batches lie: those that were learned from ("rollouts"), or of held-out prompts ("evaluations").

    Raises LabError for a run that keeps none.
    """
    view = training.show(lab, run_id)
    if not view.rolls_out:
        raise LabError(f"Run {run_id} ({view.title}) learns from data, not from completions of its own.")
    kept = training.rollouts_folder(lab, run_id) / kind
    if kept.is_dir() or view.job is None:
        return kept
    return jobs.folder(lab, view.job.id) / "out" / kind


def steps(lab: LabContext, run_id: int, kind: str = ROLLOUTS) -> list[int]:
    """The steps of which there are completions, in order; those of a run that goes on grow."""
    return rollout_steps(folder(lab, run_id, kind))


def read(lab: LabContext, run_id: int, step: int, kind: str = ROLLOUTS) -> RolloutBatch:
    """The completions of one step; raises LabError where there are none."""
    path = rollout_path(folder(lab, run_id, kind), step)
    if not path.is_file():
        raise LabError(f"Run {run_id} has no completions of step {step:,}.")
    return RolloutBatch.read(path)


def evaluations(lab: LabContext, run_id: int) -> list[RolloutBatch]:
    """The completions of the held-out prompts at each evaluation, in order; step 0 is the base.

    The same draws of the same prompts, so that rows of two evaluations are pairs.
    """
    return [read(lab, run_id, step, EVALUATIONS) for step in steps(lab, run_id, EVALUATIONS)]
