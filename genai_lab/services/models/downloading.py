"""Downloads of models that are coming into the catalogue."""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genai_lab.models import BACKENDS, Source
from genai_lab.models.checks import size_text
from genai_lab.services import downloads as fetching
from genai_lab.services import jobs
from genai_lab.services.downloads import Download
from genai_lab.services.models import records
from genai_lab.services.models.records import backend_of, source_key
from storage import models as queries
from storage.tables import Model

if TYPE_CHECKING:
    from genai_lab.context import LabContext

SECONDS_BETWEEN_LINES = 2


def start_download(lab: "LabContext", name: str, source: Source) -> Download:
    """Puts the model into the catalogue as one that is coming and queues its download, or goes on with it."""
    row = records.find_row(lab, name)
    again = row is not None and backend_of(row).downloads and row.source["location"] == source.location
    name = name if again else records.checked_name(lab, name)
    card = BACKENDS.get(source.backend).inspect(source, name, records.options(lab))
    order = fetching.plan_download(lab, name, card.source)
    if not again:
        records.insert(lab, card)
    else:
        with lab.database.session() as session:
            records.update_row(records.existing(queries.model_named(session, name), lab, name), card)
    return fetching.begin(lab, order)


def downloads(lab: "LabContext") -> list[Download]:
    """Those under way and those that stopped, the newest first; finished ones are in the catalogue."""
    with lab.database.reading() as session:
        rows = queries.all_models(session) + queries.all_models(session, archived=True)
    expected = {source_key(row.source) for row in rows if backend_of(row).downloads and not row.path}
    unfinished = [
        download
        for key, download in fetching.by_source(lab).items()
        if key in expected and download.status != "finished"
    ]
    return sorted(unfinished, key=lambda download: -download.id)


def cancel_download(lab: "LabContext", download_id: int) -> None:
    """Ends it; what has been fetched stays, and starting again goes on from there."""
    fetching.cancel(lab, download_id)


def download(lab: "LabContext", source: Source, progress: Callable[[str], None] | None = None) -> None:
    """Downloads and waits; an interrupt from the keyboard ends the download. Raises ModelError."""
    started = fetching.begin(lab, fetching.plan_download(lab, source.location, source))
    if progress:
        progress(f"{started.repo} at {started.revision[:10]}: {size_text(started.total_bytes)}")
    last_line = time.monotonic()

    def report(view: jobs.JobView) -> None:
        nonlocal last_line
        if progress and time.monotonic() - last_line > SECONDS_BETWEEN_LINES:
            last_line = time.monotonic()
            progress(f"{started.repo}: {size_text(int(view.done))} of {size_text(started.total_bytes)}")

    try:
        fetching.require_download(jobs.wait(lab, started.id, on_poll=report))
    except KeyboardInterrupt:
        fetching.cancel(lab, started.id)
        jobs.wait(lab, started.id, timeout=15)
        raise


def downloads_of(lab: "LabContext", rows: Sequence[Model]) -> dict[tuple[str, str], Download]:
    """The downloads that matter to these models: of those whose files are not here."""
    waiting = any(backend_of(row).downloads and not row.path for row in rows)
    return fetching.by_source(lab) if waiting else {}


def delete_files(lab: "LabContext", row: Model) -> None:
    """Deletes what was downloaded for a model, finished or not."""
    unfinished = fetching.by_source(lab).get(source_key(row.source))
    if unfinished is not None and not row.path:
        fetching.discard(lab, unfinished)
    if row.path and Path(row.path).is_relative_to(lab.config.hub_cache):
        shutil.rmtree(row.path, ignore_errors=True)
