"""Views of prediction runs ("systems" on the pages) and of their scores."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from genai_lab.views import View
from storage.tables import Run, Score

Key = tuple[str, str, str]


@dataclass(frozen=True)
class SystemView(View):
    """One column of an evaluation; `n` counts its completions, of which each row has `completions_per_row` at most."""

    id: int
    label: str
    model: str | None
    template: str | None
    dataset: str
    dataset_version_id: int
    settings: dict[str, Any]
    status: str
    n: int
    created_at: datetime
    completions_per_row: int = 1

    @property
    def rows(self) -> int:
        """How many rows have all their completions; of an upload, whose rows may have fewer, all."""
        if self.settings.keys() >= {"uploaded", "rows"}:
            return int(self.settings["rows"])
        return self.n // self.completions_per_row


@dataclass(frozen=True)
class ScoreView(View):
    """One figure of one system with its 95 % interval."""

    _hidden = ("per_example",)

    system: int
    metric: str
    figure: str
    signature: str
    settings: dict[str, Any]
    value: float | None
    low: float | None
    high: float | None
    n: int
    per_example: list[Any] | None
    detail: dict[str, Any]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before the figure is believed, such as words that its tokenizer drops."""
        return tuple(self.detail.get("warnings", ()))

    @property
    def n_text(self) -> str:
        """How many rows and completions the figure stands on: "n = 20 x 4 completions"."""
        fewest, most = self.completions_per_row
        several = f" x {fewest} completions" if fewest == most else f" x {fewest} to {most} completions"
        return f"n = {self.n:,}{several if most > 1 else ''}"

    @property
    def completions_per_row(self) -> tuple[int, int]:
        """The fewest and the most completions that a row had."""
        fewest, most = self.detail.get("completions_per_row", (1, 1))
        return fewest, most


def input_of(run: Run, column: str) -> int | None:
    return next((getattr(item, column) for item in run.inputs if getattr(item, column) is not None), None)


def dataset_name(run: Run) -> str:
    """The dataset version that the run reads, as NAME@2."""
    for item in run.inputs:
        if item.dataset_version_id is not None:
            return f"{item.dataset_version.dataset.name}@{item.dataset_version.number}"
    return "no dataset"


def system_view(run: Run, n: int) -> SystemView:
    """`n` is how many completions the run has."""
    model = next((item.model.name for item in run.inputs if item.model_id is not None), None)
    version = next((item.template_version for item in run.inputs if item.template_version_id is not None), None)
    template = f"{version.template.name}@{version.number}" if version is not None else None
    return SystemView(
        id=run.id,
        label=run.settings.get("label") or " · ".join(filter(None, (model, template))) or f"system {run.id}",
        model=model,
        template=template,
        dataset=dataset_name(run),
        dataset_version_id=input_of(run, "dataset_version_id") or 0,
        settings=run.settings,
        status=run.status,
        n=n,
        created_at=run.created_at,
        completions_per_row=run.settings.get("completions_per_row", 1),
    )


def score_view(row: Score) -> ScoreView:
    return ScoreView(
        row.source_run_id,
        row.metric,
        row.figure,
        row.signature,
        row.settings,
        row.value,
        row.low,
        row.high,
        row.n,
        row.per_example,
        row.detail,
    )
