"""GGUF files as models that torch computes: one job fetches the file where it is not here and takes its weights out."""

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from genai_lab.errors import ModelError
from genai_lab.models import BACKENDS, Source
from genai_lab.models.checks import existing_file, file_within
from genai_lab.services import jobs, runs
from genai_lab.services.models import records
from genai_lab.views import View
from storage import models as queries
from storage.tables import RunInput

if TYPE_CHECKING:
    from genai_lab.context import LabContext
    from genai_lab.models.download import DownloadPlan

CONVERT = "convert"
SUFFIX = ".gguf"
HUB_FILE = re.compile(
    r"(?:https?://(?:huggingface\.co|hf\.co)/)?(?P<repo>[\w.-]+/[\w.-]+)/(?:(?:blob|resolve)/(?P<revision>[\w.-]+)/)?"
    r"(?P<file>[\w.-]+\.gguf)(?:\?download=true)?"
)
Tell = Callable[[float, float, str], None]


@dataclass(frozen=True)
class GgufSource(View):
    """Where a GGUF file is: a path of this machine, or a repository of the Hub with the file's name."""

    path: str = ""
    repo: str = ""
    file: str = ""
    revision: str | None = None
    key_env: str | None = None


@dataclass(frozen=True)
class Conversion(View):
    """A copy that is being made: the job, the name that the copy will have, and the size of the file in bytes."""

    job_id: int
    name: str
    bytes: int


def gguf_source(text: str) -> GgufSource | None:
    """The GGUF file that a user's text names: a path, OWNER/NAME/FILE.gguf or its page; None for anything else."""
    text = text.strip()
    if not text.removesuffix("?download=true").lower().endswith(SUFFIX):
        return None
    if existing_file(text) is None and (match := HUB_FILE.fullmatch(text)):
        return GgufSource(repo=match["repo"], file=match["file"], revision=match["revision"])
    return GgufSource(path=text)


def convert(lab: "LabContext", source: GgufSource, name: str = "", *, made_from: str = "") -> Conversion:
    """Queues the job that makes a model of the file, which torch computes and fine-tuning trains.

    `made_from` names the file's own model in the catalogue, where it has one. Raises LabError for a file that cannot be
    read or is of a kind that is not supported; of the Hub's files only the size is known before they are here.
    """
    from genai_lab.models.gguf_header import read_header
    from genai_lab.models.gguf_import import check_supported

    stem = Path(source.path or source.file).name
    name = records.checked_name(lab, name) if name.strip() else records.free_name(lab, plain_name(stem))
    order: dict[str, Any] = {"name": name, "made_from": made_from}
    if source.repo:
        plan = _download_plan(lab, source, name)
        order |= {"plan": plan.as_dict()}
        size = plan.bytes
    else:
        path = file_within(source.path, lab.options.roots)
        header = read_header(path)
        check_supported(header)
        order |= {"path": str(path)}
        size = header.size
    job_id = jobs.enqueue(lab, CONVERT, order, title=f"Import {stem}")
    return Conversion(job_id, name, size)


def convert_model(lab: "LabContext", model: str, name: str = "") -> Conversion:
    """The copy of a model of the catalogue that is a GGUF file; raises LabError where it is none."""
    path = records.card_of(records.get_row(lab, model).card).path
    if path is None or path.suffix.lower() != SUFFIX:
        raise ModelError(f"{model} is not a GGUF file; torch can run it as it is.")
    return convert(lab, GgufSource(str(path)), name, made_from=model)


def torch_copy(lab: "LabContext", model: str) -> str | None:
    """The model of the catalogue whose weights are those of the GGUF file `model`, None where there is none yet."""
    path = records.card_of(records.get_row(lab, model).card).path
    origins = {model, path.name} if path is not None else {model}
    with lab.database.reading() as session:
        return next(
            (row.name for row in queries.all_models(session) if row.card.get("converted_from") in origins), None
        )


def plain_name(stem: str) -> str:
    """A file's name as a model's: without its ending and the type of its numbers."""
    stem = re.sub(r"\.gguf$", "", stem, flags=re.IGNORECASE)
    short = re.sub(r"[.-](I?Q\d\w*|B?F16|F32|MXFP4)$", "", stem, flags=re.IGNORECASE)
    return re.sub(r"[^\w.:@+-]+", "-", short).strip("-._:@+") or "model"


def make_copy(lab: "LabContext", order: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """The job's body: the file, its copy in the data home, and the copy's card. Raises ModelError."""
    from genai_lab.models.gguf_header import read_header
    from genai_lab.models.gguf_import import about_copy, import_gguf

    started = time.monotonic()
    path = _fetch(lab, order["plan"], tell) if "plan" in order else file_within(order["path"], lab.options.roots)
    header, name = read_header(path), order["name"]
    tell(0, header.size, "reading the file")
    digest = sha256_of(path)
    folder = lab.config.home / "models" / f"gguf-{digest[:16]}"
    if not (folder / "config.json").is_file():
        import_gguf(header, folder, about_copy(header, path.name), lambda done, total, part: tell(done, total, part))
    card = BACKENDS.get("local").inspect(Source("local", str(folder)), name, records.options(lab))
    card = replace(card, converted_from=order.get("made_from") or path.name)
    facts = {"file": path.name, "sha256": digest, "quantisation": header.quantisation, "bytes": header.size}
    return {
        "card": asdict(card) | {"path": str(card.path)},
        "facts": facts,
        "seconds": time.monotonic() - started,
        "made_from": order.get("made_from", ""),
    }


def add_copy(session: Session, result: dict[str, Any]) -> str:
    """Puts the copy into the catalogue with the run that made it; returns its name. Two files make two copies."""
    card = records.card_of(result["card"])
    existing = next((row for row in queries.all_models(session) if row.path == str(card.path)), None)
    if existing is not None:
        return existing.name
    made_from = queries.model_named(session, result["made_from"]) if result["made_from"] else None
    inputs = [RunInput(role="file", model_id=made_from.id, content_hash=made_from.content_hash)] if made_from else []
    names = {row.name for archived in (False, True) for row in queries.all_models(session, archived=archived)}
    card = replace(card, name=records.first_free(card.name, names))
    run = runs.begin(
        session, CONVERT, inputs, {"model": card.name, **result["facts"]}, 0, status="finished",
        seconds=result["seconds"],
    )  # fmt: skip
    queries.add_model(session, **records.columns_of(card, made_by_run_id=run.id))
    return card.name


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def file_folder(lab: "LabContext", digest: str) -> Path:
    """Where a GGUF file lies in the data home, once, whatever is made of it."""
    return lab.config.home / "models" / "files" / digest[:16]


def _download_plan(lab: "LabContext", source: GgufSource, name: str) -> "DownloadPlan":
    from genai_lab.models.checks import check_disk
    from genai_lab.models.download import DownloadPlan
    from genai_lab.models.hub import describe_file

    commit, file, _ = describe_file(source.repo, source.file, source.revision, source.key_env, lab.options.timeout)
    folder = file_folder(lab, file.sha256 or commit)
    # The file and a copy of some three times its size.
    check_disk(folder, 4 * file.size, file.name)
    target = Source("hub", source.repo, revision=commit, key_env=source.key_env)
    return DownloadPlan(name, target, folder, (file,))


def _fetch(lab: "LabContext", stored: dict[str, Any], tell: Tell) -> Path:
    from genai_lab.models.download import DownloadPlan, fetch_file

    plan = DownloadPlan.from_dict(stored)
    plan.target.parent.mkdir(parents=True, exist_ok=True)
    return fetch_file(plan, lab.options, lambda done, part: tell(done, plan.bytes, part))
