"""Make a cell of a matrix the default prompt."""

from dataclasses import dataclass, replace

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.services import presets, templates
from genai_lab.services.matrix.matrices import CellView, MatrixView, show
from genai_lab.views import View

DEFAULT = "default"


@dataclass(frozen=True)
class Promoted(View):
    """The template version that has the tag now, and the preset that holds the sampling settings."""

    template: str
    preset: str


def cell_of(view: MatrixView, cell: int | None) -> CellView:
    """Raises LabError for a cell that is not in the matrix."""
    if cell is None:
        raise LabError("No cell is open; choose one in the grid first.")
    for item in view.cells:
        if item.system.id == cell:
            return item
    raise LabError(f"Cell {cell} is not in matrix {view.id}; choose one of its grid.")


def promote(lab: LabContext, matrix: int, cell: int | None) -> Promoted:
    """Makes the cell's template version the default one and keeps its sampling settings as a preset."""
    source = cell_of(show(lab, matrix), cell)
    if source.system.template is None:
        raise LabError(f"Cell {cell} has no template.")
    name, _, number = source.system.template.rpartition("@")
    templates.tag(lab, name, int(number), DEFAULT)
    preset = f"{name[:52]} default"
    presets.save_preset(lab, preset, replace(Sampling.from_dict(source.sampling), seed=None))
    return Promoted(source.system.template, preset)
