"""What the objects of the API have in common: a view to serialise, tables, and jobs to wait for."""

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.views import html_table, page_url, text_table, to_plain

if TYPE_CHECKING:
    import pandas as pd

    from genai_lab.services.jobs import JobView
    from genai_lab.services.lineage import Lineage

T = TypeVar("T")
PROGRESS_SECONDS = 1.0


class Handle:
    """An object of the lab. `view` is how it stands now, read from the database each time."""

    def __init__(self, context: LabContext, id: int) -> None:
        self.context, self.id = context, id

    @property
    def view(self) -> Any:
        raise NotImplementedError

    @property
    def url(self) -> str:
        """The address of its page: under GENAI_LAB_URL where that names a running lab, else from the lab's root."""
        return page_url(self._address())

    def _address(self) -> str:
        """The page of the run that the object is; others have their own."""
        from genai_lab.services import history, runs

        return runs.address_of(history.rows_of(self.context, [self.run_id])[self.run_id])

    @property
    def run_id(self) -> int:
        """The run that it is, or that made it."""
        return self.id

    def lineage(self) -> "Lineage":
        """Every run, dataset, template, ranking and annotator behind it, and what was made from it."""
        from genai_lab.services import lineage

        return lineage.walk_run(self.context, self.run_id)

    def as_dict(self) -> dict[str, Any]:
        """Everything that is known of it, as JSON; the same that `--json` prints."""
        fields: dict[str, Any] = to_plain(self.view)
        return fields

    def table(self) -> "Table[dict[str, Any]]":
        """Its figures as rows; what notebooks show."""
        return Table([{"field": name, "value": value} for name, value in self.as_dict().items()])

    def to_pandas(self) -> "pd.DataFrame":
        return self.table().to_pandas()

    def __repr__(self) -> str:
        return f"{self.title}\n{self.table()!r}"

    def _repr_html_(self) -> str:
        return f"<p>{self.title}</p>{self.table()._repr_html_()}"

    @property
    def title(self) -> str:
        return f"{type(self).__name__} {self.id}"


class Future(Handle):
    """An object that a job makes or fills. Without a job it is complete from the start."""

    @property
    def job_id(self) -> int | None:
        """The job that makes it; None where there is none."""
        raise NotImplementedError

    @property
    def job(self) -> "JobView | None":
        from genai_lab.services import jobs

        return None if self.job_id is None else jobs.show(self.context, self.job_id)

    @property
    def status(self) -> str:
        """queued, running, finished, cancelled or failed."""
        return "finished" if (job := self.job) is None else job.status

    @property
    def progress(self) -> float | None:
        """How much is done, 0 to 1; None where that is not known."""
        return 1.0 if (job := self.job) is None else job.share

    def wait(self, timeout: float | None = None, *, progress: "bool | Callable[[JobView], None]" = False) -> Self:
        """Stays until the job has finished and returns the object; `progress` prints a line now and then.

        Raises LabError where the job failed or was cancelled, and after `timeout` seconds, when the job goes on.
        """
        if self.job_id is not None:
            wait_for_job(self.context, self.job_id, timeout, progress)
        return self

    def replay(self) -> Self:
        """The same run again, with the same inputs, settings and seed; raises LabError where its kind cannot be."""
        from genai_lab.services import runs

        return type(self)(self.context, runs.replay(self.context, self.run_id))

    def cancel(self) -> None:
        """Ends the job; what it has made so far stays."""
        from genai_lab.services import jobs

        if self.job_id is not None:
            jobs.cancel(self.context, self.job_id)

    def logs(self, lines: int = 200) -> str:
        """The last lines that the job's process wrote."""
        from genai_lab.services import jobs

        return "" if self.job_id is None else jobs.log(self.context, self.job_id, lines)


def wait_for_job(
    context: LabContext,
    job_id: int,
    timeout: float | None = None,
    progress: "bool | Callable[[JobView], None]" = False,
) -> "JobView":
    """The job once it has finished; raises LabError where it ended otherwise."""
    view = watch_job(context, job_id, timeout, progress)
    if view.status != "finished":
        raise LabError(f"Job {job_id} ended ({view.exit_reason or view.status}): {view.error or 'no reason is known'}")
    return view


def watch_job(
    context: LabContext,
    job_id: int,
    timeout: float | None = None,
    progress: "bool | Callable[[JobView], None]" = False,
) -> "JobView":
    """The job once it has ended, in whichever way."""
    from genai_lab.services import jobs

    on_look = progress if callable(progress) else _printer() if progress else None
    return jobs.wait(context, job_id, timeout, on_poll=on_look)


def _printer() -> "Callable[[JobView], None]":
    """Prints how far a job is, at most once a second, to standard error."""
    last_line, last_time = "", 0.0

    def print_progress(view: "JobView") -> None:
        nonlocal last_line, last_time
        share = view.status if view.share is None else f"{100 * view.share:.0f} %"
        line = f"job {view.id}: {share} {view.message or view.waiting}".rstrip()
        if line != last_line and time.monotonic() - last_time >= PROGRESS_SECONDS:
            last_line, last_time = line, time.monotonic()
            print(line, file=sys.stderr, flush=True)

    return print_progress


class Table(Sequence[T], Generic[T]):
    """A list of views that prints as a table. `total` counts those that there are, where these are the first of them.

    `row` turns an item into the columns that are printed; `as_dict()` and `to_pandas()` hold all fields.
    """

    def __init__(
        self, items: Iterable[T], row: Callable[[T], dict[str, Any]] | None = None, total: int | None = None
    ) -> None:
        self.items = list(items)
        self.total = len(self.items) if total is None else total
        self._row = row

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> "Table[T]": ...

    def __getitem__(self, index: int | slice) -> "T | Table[T]":
        return Table(self.items[index], self._row) if isinstance(index, slice) else self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    def as_dict(self) -> list[Any]:
        return [to_plain(item) for item in self.items]

    def to_pandas(self) -> "pd.DataFrame":
        import pandas as pd

        return pd.DataFrame(self.as_dict())

    def rows(self) -> list[dict[str, Any]]:
        """What is printed of each item."""
        return [self._row(item) if self._row else to_plain(item) for item in self.items]

    def __repr__(self) -> str:
        return text_table(self.rows()) if self.items else "(none)"

    def _repr_html_(self) -> str:
        return html_table(self.rows()) if self.items else "<p>none</p>"


def names_of(things: Any) -> tuple[str, ...]:
    """The names of one or several models, datasets or templates, each given as text or as an object."""
    several = things if isinstance(things, list | tuple | Table) else [things]
    return tuple(map(name_of, several))


def name_of(thing: Any) -> str:
    """The name by which the lab knows a model, dataset or template: text stands for itself."""
    if isinstance(thing, str):
        return thing
    for attribute in ("model", "name"):
        if isinstance(name := getattr(thing, attribute, None), str):
            return name
    if (card := getattr(thing, "card", None)) is not None:
        return str(card.name)
    raise LabError(f"{str(thing)[:80]!r} has no name in the lab; give a name, or what a function of the lab returned.")


def jobs_of(things: Any) -> list[int]:
    """The jobs under way that make any of these models, so that what reads them can wait for them."""
    several = things if isinstance(things, list | tuple | Table) else [things]
    return [
        thing.job_id
        for thing in several
        if isinstance(thing, Future) and thing.job_id is not None and thing.status in ("queued", "running")
    ]
