"""Models on a dataset: a matrix of predictions and the evaluation of its cells, queued together."""

from collections.abc import Sequence
from dataclasses import dataclass

from genai_lab.context import LabContext
from genai_lab.services import matrix
from genai_lab.services.evaluation.evaluations import MOST_SYSTEMS, StartedEvaluation, start
from genai_lab.services.matrix import promoting


@dataclass(frozen=True)
class ModelsStarted(StartedEvaluation):
    """A queued evaluation with the matrix that makes its predictions."""

    matrix: matrix.StartedMatrix


def run_models(
    lab: LabContext,
    plan: matrix.MatrixPlan,
    *,
    title: str = "",
    matrix_title: str = "",
    seed: int | None = None,
    beside: Sequence[int] = (),
    baseline: int | None = None,
    baseline_cell: int = 0,
    after: Sequence[int] = (),
    most: int = MOST_SYSTEMS,
) -> ModelsStarted:
    """Queues the plan's matrix and an evaluation of its cells with the plan's metrics: both, or neither on an error.

    `beside` names further systems, which come before the cells. The baseline is the system `baseline`, or else the cell
    at the index `baseline_cell`. The matrix begins when the jobs of `after` have ended.
    """
    prepared = matrix.prepare(lab, plan)
    with lab.database.session() as session:
        queued = matrix.queue(lab, session, prepared, title=matrix_title or title, after=after)
        evaluation = start(
            lab,
            [*beside, *queued.cells],
            plan.metrics,
            baseline=baseline if baseline is not None else queued.cells[baseline_cell],
            seed=plan.sample_seed if seed is None else seed,
            title=title,
            depends_on=queued.job_id,
            most=most,
            session=session,
        )
    return ModelsStarted(evaluation.run_id, evaluation.job_id, queued)


def run_cells(lab: LabContext, matrix_id: int, cell_ids: Sequence[int | None]) -> StartedEvaluation:
    """Queues an evaluation of these cells with the metrics of their matrix; the first one is the baseline."""
    view = matrix.show(lab, matrix_id)
    systems = [promoting.cell_of(view, cell_id).system.id for cell_id in cell_ids]
    return start(lab, systems, view.plan.metrics, seed=view.seed, title=view.title)
