"""What suits a dataset: the templates that it can fill, the metrics of its task, and how long answers are."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from genai_lab.services import datasets, templates
from genai_lab.services.templates import Suggestion
from genai_lab.views import View

if TYPE_CHECKING:
    from genai_lab.context import LabContext

METRICS: dict[str, tuple[str, ...]] = {
    "classify": ("classification",),
    "summarise": ("rouge",),
    "translate": ("bleu", "chrf"),
    "answer": ("exact_match", "token_f1"),
    "dialogue": ("rouge",),
    "other": ("rouge",),
}
LENGTHS = {"classify": 16, "answer": 32, "translate": 64}
ANY_METRICS, ANY_LENGTH = ("exact_match",), 128


@dataclass(frozen=True)
class Proposal(View):
    """For a form: templates, the best first; metrics; the most new tokens of an answer."""

    task: str
    templates: tuple[Suggestion, ...]
    metrics: tuple[str, ...]
    max_new_tokens: int

    @property
    def best(self) -> str | None:
        """The name of the template to begin with; None where the dataset can fill none."""
        first = next(iter(self.templates), None)
        return first.view.template if first is not None and first.fits else None


def for_dataset(lab: "LabContext", dataset: str | int) -> Proposal:
    """What to begin with; raises LabError where there is no such dataset."""
    version = datasets.show(lab, dataset)
    task = templates.task_of(version.dataset, version.column_names, version.roles)
    suggestions = tuple(templates.for_dataset(lab, version.id))
    if not task and suggestions and suggestions[0].fits:
        task = suggestions[0].view.task
    return Proposal(task, suggestions, METRICS.get(task, ANY_METRICS), LENGTHS.get(task, ANY_LENGTH))
