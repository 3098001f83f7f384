"""Datasets: loaded from anywhere, read as rows or as a DataFrame, split, exported."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from genai_lab.api.base import Handle, Table, wait_for_job
from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.data.aliases import role_of
from genai_lab.data.hub import HubDataset
from genai_lab.errors import LabError, UnknownSetting
from genai_lab.services import datasets
from genai_lab.services.datasets import Order, VersionView

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from genai_lab.services.lineage import Lineage


Roles = Mapping[str, str | Sequence[str]]
SPLIT_OPTIONS = ("ratios", "column", "seed", "only")
ENCODINGS = {"utf8": "utf-8", "utf16": "utf-16", "windows-1252": "cp1252", "latin-1": "cp1252", "latin1": "cp1252"}


class Dataset(Handle):
    """One version of a dataset, NAME@NUMBER; it never changes."""

    def __init__(self, context: LabContext, view: VersionView) -> None:
        super().__init__(context, view.id)
        self._view = view

    @property
    def view(self) -> VersionView:
        return self._view

    @property
    def name(self) -> str:
        return self._view.name

    @property
    def columns(self) -> tuple[str, ...]:
        return self._view.column_names

    @property
    def roles(self) -> dict[str, tuple[str, ...]]:
        return {str(role): names for role, names in self._view.roles.items()}

    @property
    def splits(self) -> dict[str, int]:
        return self._view.splits

    def lineage(self) -> "Lineage":
        """Every run, ranking and annotator behind its rows."""
        from genai_lab.services import lineage

        return lineage.walk_dataset(self.context, self.id)

    def _address(self) -> str:
        return f"/datasets?{urlencode({'dataset': self.name})}"

    def __len__(self) -> int:
        return self._view.rows

    def rows(self, split: str | None = None, limit: int | None = None, offset: int = 0) -> list[dict[str, Any]]:
        """Rows as they were in their source, each with its number (from 1) as "_row"."""
        return datasets.page(self.context, self.id, offset, len(self) if limit is None else limit, split)

    def to_pandas(self, split: str | None = None) -> "pd.DataFrame":
        import pandas as pd

        return pd.DataFrame(self.rows(split)).set_index("_row")

    def split(self, by: str = "ratio", **options: Any) -> "Dataset":
        """The same rows in other splits, as a new version: `ratios`, `column`, `seed`, `only`."""
        return Dataset(self.context, datasets.split_again(self.context, self.id, split_plan(by, **options)))

    def profile(self, model: str = "") -> dict[str, Any]:
        """Empty cells, labels, duplicates, overlap of splits; lengths in the model's tokens where one is named."""
        return datasets.profile(self.context, self.id, model)

    def export(self, path: str | Path, format: str = "", split: str | None = None) -> int:
        """Writes the rows as JSON Lines or CSV, by the file's ending, and returns how many."""
        path = Path(path)
        try:
            form = format or ("csv" if path.suffix == ".csv" else "jsonl")
            return datasets.export(self.context, self.id, path, form, split)
        except OSError as problem:
            raise LabError(f"{path} cannot be written ({problem.strerror}); choose another path.") from None

    def table(self) -> "Table[dict[str, Any]]":
        return Table(self.rows(limit=5))

    @property
    def title(self) -> str:
        roles = ", ".join(f"{role}={'+'.join(names)}" for role, names in self.roles.items()) or "none"
        splits = ", ".join(f"{name} {count:,}" for name, count in self.splits.items())
        return f"{self.name}: {len(self):,} rows; roles: {roles}; splits: {splits}"


class Datasets:
    """All datasets of the lab."""

    def __init__(self, context: LabContext) -> None:
        self.context = context

    def __getitem__(self, name: str | int) -> Dataset:
        return self.get(name)

    def get(self, name: str | int) -> Dataset:
        """A version by name (NAME is the newest, NAME@2 the second) or by its id; raises LabError."""
        return Dataset(self.context, datasets.show(self.context, name))

    def list(
        self, search: str = "", *, archived: bool = False, newest: bool = False, limit: int = 1000
    ) -> Table[Dataset]:
        """Versions, newest first; with `newest` the last one of each dataset alone."""
        views, total = datasets.find(self.context, search, limit, 0, archived, newest)
        return Table((Dataset(self.context, view) for view in views), _summary, total)

    def load(
        self,
        source: Any,
        name: str = "",
        *,
        roles: Roles | None = None,
        split: str | SplitPlan = "auto",
        on_rows: "Callable[[int], None] | None" = None,
        **options: Any,
    ) -> Dataset:
        """A dataset from a file, "hub:OWNER/NAME", "starter:TASK", a DataFrame or rows; the same rows are kept once.

        `roles` maps roles to columns, such as {"input": "dialogue"}; without it they are guessed. Options are those of
        the split (`ratios`, `column`, `seed`, `only`), of a file (`encoding`, `separator`, `header`, `as_is`), of the
        Hub (`configuration`, `hub_split`, `revision`), and `drop_bad`. The name of a dataset of the lab gives that one.
        """
        if isinstance(source, Dataset):
            return source
        if isinstance(source, int) or (isinstance(source, str) and not _is_elsewhere(source)):
            return self.get(source)
        if isinstance(source, str | Path):
            return self.import_from(source, name, roles=roles, split=split, on_rows=on_rows, **options)
        rows = source.to_dict("records") if hasattr(source, "to_dict") else list(source)
        plan = split if isinstance(split, SplitPlan) else split_plan(split, **_split_options(options))
        told = {"kind": "rows", "count": len(rows)}
        view = datasets.import_rows(
            self.context, rows, name or "rows", told, mapping=_columns_by_role(roles), split=plan
        )
        return Dataset(self.context, view)

    def import_from(
        self,
        source: str | Path,
        name: str = "",
        *,
        on_rows: "Callable[[int], None] | None" = None,
        **options: Any,
    ) -> Dataset:
        """A dataset from a file, "hub:OWNER/NAME" or "starter:TASK"; options as for `load`."""
        order = order_of(source, name, **options)
        return Dataset(self.context, datasets.make(self.context, order, on_rows))

    def start_import(self, source: str | Path, name: str = "", **options: Any) -> int:
        """Queues the import of a file or a Hub dataset; returns the job."""
        return datasets.start(self.context, order_of(source, name, **options))

    def stuck(self) -> "datasets.Stuck | None":
        """The newest queued import that ended at rows which cannot be read."""
        return datasets.stuck(self.context)

    def without_bad(self, job: int) -> int:
        """Queues a stuck import again without its unreadable rows; returns the new job."""
        return datasets.without_bad(self.context, job)

    def give_up(self, job: int) -> None:
        """Forgets a stuck import and its file."""
        datasets.give_up(self.context, job)

    def archive(self, name: str) -> None:
        datasets.archive(self.context, name)

    def restore(self, name: str) -> None:
        datasets.archive(self.context, name, False)

    def wait(self, job: int) -> Dataset:
        """The dataset that an import's job makes, once it has finished."""
        result = wait_for_job(self.context, job).result or {}
        return self.get(int(result["version"]))


def order_of(
    source: str | Path,
    name: str = "",
    *,
    roles: Roles | None = None,
    split: str | SplitPlan = "auto",
    drop_bad: bool = False,
    encoding: str = "",
    separator: str = "",
    as_is: bool = False,
    header: str = "",
    configuration: str = "",
    hub_split: str = "",
    revision: str = "",
    starter_seed: int = 1,
    rows: Mapping[str, int] | None = None,
    **split_options: Any,
) -> Order:
    """What is to be imported, and how; raises LabError where there is no such source."""
    kind, _, location = str(source).partition(":")
    if kind == "starter":
        return datasets.starter_order(location, name, seed=starter_seed, rows=rows)
    plan = split if isinstance(split, SplitPlan) else split_plan(split, **split_options)
    mapping = _columns_by_role(roles)
    if kind == "hub":
        place = HubDataset(location, configuration, hub_split, revision)
        name = name or location.rpartition("/")[2]
        return datasets.hub_order(place, name, mapping=mapping, split=plan, drop_bad=drop_bad)
    path = Path(source)
    if not path.is_file():
        raise LabError(f"There is no file {source}; give the path of a table.")
    name = name or path.name.removesuffix(".gz").rsplit(".", 1)[0]
    reading = datasets.FileOptions(_encoding(encoding), separator.replace("\\t", "\t"), as_is, header)
    return datasets.file_order(path.resolve(), name, mapping=mapping, split=plan, drop_bad=drop_bad, options=reading)


def split_plan(by: str = "auto", **options: Any) -> SplitPlan:
    """How rows are put into splits: "auto", "ratio", "column", "group" or "none"."""
    unknown = next((name for name in options if name not in SPLIT_OPTIONS), None)
    if unknown is not None:
        raise UnknownSetting(unknown, "the import of a dataset", SPLIT_OPTIONS)
    if "ratios" in options:
        options["ratios"] = tuple(options["ratios"])
    if options.get("only") and by == "auto":
        by = "none"
    return SplitPlan(by, **{name: value for name, value in options.items() if value not in ("", None)})  # type: ignore[arg-type]


def _split_options(options: Mapping[str, Any]) -> dict[str, Any]:
    unknown = next((name for name in options if name not in SPLIT_OPTIONS), None)
    if unknown is not None:
        raise LabError(f"Rows in memory have no option {unknown!r}; they have ratios, column, seed and only.")
    return dict(options)


def _columns_by_role(roles: Roles | None) -> dict[str, list[str]] | None:
    if roles is None:
        return None
    return {role_of(role): [columns] if isinstance(columns, str) else list(columns) for role, columns in roles.items()}


def _encoding(name: str) -> str:
    """The lab's name of an encoding, for what others call it."""
    key = name.lower().replace("_", "-")
    return ENCODINGS.get(key, key)


def _is_elsewhere(source: str) -> bool:
    """Whether the text names a source outside the lab, and not one of its datasets."""
    return source.startswith(("starter:", "hub:")) or "/" in source or Path(source).is_file()


def _summary(dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "rows": len(dataset),
        "roles": ", ".join(f"{role}={'+'.join(names)}" for role, names in dataset.roles.items()),
        "splits": ", ".join(f"{name} {count:,}" for name, count in dataset.splits.items()),
    }
