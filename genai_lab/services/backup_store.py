"""The backups that the lab keeps in its own home: made by jobs, listed, handed out and deleted.

They lie in the folder `backups`, which no backup holds.
"""

import re
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import backup, jobs
from genai_lab.views import View

KIND = "backup"
FOLDER = "backups"
DOWNLOAD = "/backup-files"  # where the web layer hands them out, below this address
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,98}\.tar")


@dataclass(frozen=True)
class StoredBackup(View):
    """A backup in the lab's home; `bytes` is its size."""

    name: str
    path: str
    bytes: int
    created_at: datetime

    @property
    def address(self) -> str:
        """Where a browser downloads it."""
        return f"{DOWNLOAD}/{self.name}"


def start(lab: LabContext) -> int:
    """Queues a backup under a name of its date; the job's id. Raises LabError where one is being made already."""
    for status in jobs.LIVE:
        for view in jobs.find(lab, status=status, kinds=(KIND,), limit=1)[0]:
            raise LabError(f"A backup is being made already by job {view.id}; wait for it, or cancel it.")
    name = _new_name()
    return jobs.enqueue(lab, KIND, {"name": name}, title=f"Backup {name}")


def create(lab: LabContext, on_progress: backup.OnProgress = lambda done, total, name: None) -> StoredBackup:
    """Makes a backup in this process, under a name of its date."""
    name = _new_name()
    write(lab, name, on_progress)
    return show(lab, name)


def write(lab: LabContext, name: str, on_progress: backup.OnProgress) -> dict[str, Any]:
    """Makes the backup, in the job; returns what is in it."""
    path = _path(lab, name)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
    except OSError as problem:
        raise LabError(
            f"The folder {path.parent} cannot be made ({problem.strerror}); let the lab write there."
        ) from None
    return backup.backup(lab, path, on_progress).as_dict()


def find(lab: LabContext) -> list[StoredBackup]:
    """The backups in the lab's home, newest first. Raises LabError where the folder cannot be read."""
    folder = lab.config.home / FOLDER
    views = []
    try:
        for path in folder.iterdir() if folder.is_dir() else ():
            if _NAME.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                status = path.stat()
                moment = datetime.fromtimestamp(status.st_mtime, UTC)
                views.append(StoredBackup(path.name, str(path), status.st_size, moment))
    except OSError as problem:
        raise LabError(f"{folder} cannot be read ({problem.strerror}); let the user of the lab read it.") from problem
    return sorted(views, key=lambda view: (view.created_at, view.name), reverse=True)


def show(lab: LabContext, name: str) -> StoredBackup:
    """One of the backups; raises LabError where there is none of this name."""
    views = {view.name: view for view in find(lab)}
    if name not in views:
        raise LabError(f"There is no backup {name[:100]!r}. Known: {', '.join(views) or 'none yet; make one'}.")
    return views[name]


def delete(lab: LabContext, name: str) -> None:
    """Removes a backup's file; raises LabError where there is none of this name or it cannot be removed."""
    path = Path(show(lab, name).path)
    try:
        path.unlink(missing_ok=True)
    except OSError as problem:
        raise LabError(f"{path} cannot be deleted ({problem.strerror}); delete it where the lab runs.") from problem


def restore_commands(lab: LabContext, name: str) -> list[str]:
    """The shell commands that put a backup in the place of this lab, once the app has been stopped."""
    home = lab.config.home.resolve()
    name = show(lab, name).name
    old = home.with_name(f"{home.name}.before-restore")
    path = old / FOLDER / name
    return [
        f"mv {shlex.quote(str(home))} {shlex.quote(str(old))}",
        f"python -m genai_lab restore {shlex.quote(str(path))} --home {shlex.quote(str(home))}",
        f"python app.py --home {shlex.quote(str(home))}",
    ]


def _new_name() -> str:
    return f"lab-{datetime.now(UTC):%Y-%m-%d-%H%M%S}.tar"


def _path(lab: LabContext, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise LabError(
            f"{name[:100]!r} is no name of a backup; take letters, digits, dots and dashes, and end in .tar."
        )
    return lab.config.home / FOLDER / name
