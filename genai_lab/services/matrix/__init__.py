"""The matrix: models x templates x shots x settings x seeds over the same rows, as one job."""

from genai_lab.services.matrix.matrices import (
    MATRIX,
    CellView,
    MatrixView,
    PreparedMatrix,
    StartedMatrix,
    cancel,
    check_plan,
    count_remembered,
    fewer_shots,
    find,
    prepare,
    queue,
    rerun,
    show,
    start,
)
from genai_lab.services.matrix.plan import MOST_CELLS, MOST_ROWS, Cell, MatrixPlan, cell_settings, label

__all__ = [
    "MATRIX",
    "MOST_CELLS",
    "MOST_ROWS",
    "Cell",
    "CellView",
    "MatrixPlan",
    "MatrixView",
    "PreparedMatrix",
    "StartedMatrix",
    "cancel",
    "cell_settings",
    "check_plan",
    "count_remembered",
    "fewer_shots",
    "find",
    "label",
    "prepare",
    "queue",
    "rerun",
    "show",
    "start",
]
