"""A matrix's thumbs as a dataset of labelled completions, which KTO learns from."""

from typing import Any

from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.decoding import NO_ANSWER
from genai_lab.errors import LabError
from genai_lab.feedback.labels import LABEL_COLUMNS
from genai_lab.services import datasets
from genai_lab.services.matrix import matrices
from genai_lab.services.packing import asked_of
from storage import matrix as queries
from storage.tables import RunInput

RATIOS = (0.7, 0.1, 0.2)


def to_dataset(lab: LabContext, matrix_id: int, name: str = "") -> datasets.VersionView:
    """Every completion of the matrix with a thumb as a new dataset version, split by prompt; True is a thumb up.

    A row that failed has no completion, whatever its thumb. The version's run reads the matrix, so that a walk leads
    back. The same thumbs give the same version again. Raises LabError where no completion has a thumb.
    """
    view = matrices.show(lab, matrix_id)
    rows = _rows(lab, view)
    if not rows:
        raise LabError(f"No completion of matrix {matrix_id} has a thumb yet; press Good or Bad at some of them first.")
    return datasets.import_rows(
        lab,
        rows,
        name or f"matrix-{view.id}-thumbs",
        {"kind": "matrix", "matrix": view.id, "content": "labels"},
        mapping=LABEL_COLUMNS,
        split=SplitPlan("group", RATIOS, "prompt"),
        inputs=[RunInput(role="matrix", source_run_id=view.id)],
    )


def _rows(lab: LabContext, view: matrices.MatrixView) -> list[dict[str, Any]]:
    systems = {cell.system.id: cell.system.label for cell in view.cells}
    with lab.database.reading() as session:
        return [
            {
                "prompt": asked_of(generation.run.settings, generation.rendered_prompt),
                "completion": generation.text,
                "label": rating.thumb > 0,
                "comment": rating.comment,
                "system": systems[generation.run_id],
                "row": generation.example,
                "cell": generation.run_id,
                "prediction": generation.id,
            }
            for generation, rating in queries.find_thumbs(session, list(systems))
            if not (generation.detail or {}).get("error") and generation.finish_reason not in NO_ANSWER
        ]
