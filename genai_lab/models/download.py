"""Fetching a model from the Hub, in whatever process is asked to: planned first, gone on with where it stopped.

Files arrive under `<commit>.partial`, unfinished ones end in .part; the folder gets its name when every file is there
and its hash is right.
"""

import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from genai_lab.errors import ModelError
from genai_lab.models import Card, Options, Source
from genai_lab.models.checks import check_disk
from genai_lab.models.hub import HubFile, describe, file_url, new_client, refuse, snapshot, unreachable
from genai_lab.models.inspect import inspect_folder

RETRIES = 5
REPORT_EVERY = 0.2


@dataclass(frozen=True)
class DownloadPlan:
    """What is fetched: a source pinned to a commit, its files and the folder that they go to."""

    name: str
    source: Source
    target: Path
    files: tuple[HubFile, ...]

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"target": str(self.target)}

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> "DownloadPlan":
        files = tuple(HubFile(**file) for file in stored["files"])
        return cls(stored["name"], Source(**stored["source"]), Path(stored["target"]), files)


def plan(name: str, source: Source, options: Options) -> DownloadPlan:
    """Asks the Hub; raises ModelError where the model cannot be had or the disk has no room for it."""
    model = describe(source.location, source.revision, source.key_env, options.timeout)
    target = snapshot(options, model.repo, model.revision)
    check_disk(target, model.bytes - _present(model.files, target), model.repo)
    return DownloadPlan(name, replace(source, revision=model.revision), target, model.files)


def present(order: DownloadPlan) -> int:
    """Bytes that are there already, finished or not."""
    return _present(order.files, order.target)


def discard(target: Path) -> None:
    """Deletes what has been fetched of an unfinished model."""
    shutil.rmtree(_partial(target), ignore_errors=True)


def fetch(order: DownloadPlan, options: Options, report: Callable[[int, str], None]) -> Card:
    """Fetches what is not there yet and inspects it; `told` hears bytes and the file under way. Raises ModelError."""
    if order.target.is_dir():
        return inspect_folder(order.target, order.name, order.source, options)
    return _Fetching(order, options, report).fetched()


def fetch_file(order: DownloadPlan, options: Options, report: Callable[[int, str], None]) -> Path:
    """Fetches the one file of the plan, which is not a complete model, and returns where it lies. Raises ModelError."""
    if not order.target.is_dir():
        _Fetching(order, options, report).files().rename(order.target)
    return order.target / order.files[0].name


class _Fetching:
    def __init__(self, order: DownloadPlan, options: Options, report: Callable[[int, str], None]) -> None:
        self.order, self.options, self.told = order, options, report
        self.reported = 0.0

    def fetched(self) -> Card:
        folder = self.files()
        card = inspect_folder(folder, self.order.name, self.order.source, self.options)
        folder.rename(self.order.target)
        self.told(self.order.bytes, "")
        return replace(card, path=self.order.target)

    def files(self) -> Path:
        """The folder with all files, which has not got its name yet."""
        folder = _partial(self.order.target)
        folder.mkdir(parents=True, exist_ok=True)
        with new_client(self.order.source.key_env, self.options.timeout) as client:
            for file in self.order.files:
                if _size(folder / file.name) != file.size or not (folder / file.name).is_file():
                    self.file(client, file, folder)
        return folder

    def file(self, client: httpx.Client, file: HubFile, folder: Path) -> None:
        """One file, going on at what is there; a broken connection is tried again, from where it broke."""
        part, retries = folder / f"{file.name}.part", RETRIES
        part.parent.mkdir(exist_ok=True)
        while True:
            before = _size(part)
            try:
                self.stream(client, file, part)
                break
            except httpx.HTTPError as problem:
                retries = RETRIES if _size(part) > before else retries - 1
                if retries <= 0:
                    raise ModelError(unreachable(problem)) from None
                time.sleep(min(2.0 ** (RETRIES - retries), 10.0) / 2)
        if (size := _size(part)) != file.size or not _verified(part, file):
            part.unlink()
            raise ModelError(
                f"{file.name} of {self.order.source.location} arrived damaged ({size:,} of {file.size:,} bytes, or "
                "another hash); start again to fetch it anew."
            )
        part.rename(folder / file.name)

    def stream(self, client: httpx.Client, file: HubFile, part: Path) -> None:
        have = _size(part)
        if have > file.size:
            part.unlink()
            have = 0
        if have == file.size:
            part.touch()
            return
        headers = {"Range": f"bytes={have}-"} if have else {}
        source = self.order.source
        with client.stream(
            "GET", file_url(source.location, source.revision or "main", file.name), headers=headers
        ) as answer:
            refuse(answer, source.location, source.revision, source.key_env)
            with part.open("ab" if answer.status_code == 206 else "wb") as out:
                # Pieces as they come: gathered ones would be lost with a connection that breaks.
                for piece in answer.iter_raw():
                    out.write(piece)
                    out.flush()
                    self.report(file.name)
                    if out.tell() > file.size:
                        break
        if _size(part) < file.size:
            raise httpx.RemoteProtocolError("the file ended early")

    def report(self, name: str) -> None:
        now = time.monotonic()
        if now - self.reported >= REPORT_EVERY:
            self.reported = now
            self.told(present(self.order), name)


def _partial(target: Path) -> Path:
    return target.with_name(f"{target.name}.partial")


def _present(files: tuple[HubFile, ...], target: Path) -> int:
    folder = target if target.is_dir() else _partial(target)
    return sum(min(_size(folder / file.name) or _size(folder / f"{file.name}.part"), file.size) for file in files)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _verified(path: Path, file: HubFile) -> bool:
    """Compares with the SHA-256 of a large file or git's own SHA-1 of a small one, where the Hub told them."""
    if file.sha256 is None and file.blob is None:
        return True
    total: Any = hashlib.sha256() if file.sha256 else hashlib.sha1(f"blob {file.size}\0".encode())
    with path.open("rb") as stream:
        while piece := stream.read(2**20):
            total.update(piece)
    return total.hexdigest() == (file.sha256 or file.blob)
