"""The .tar of a backup, read with distrust: regular files under the names that `backup` writes, and nothing else."""

import json
import os
import re
import shutil
import tarfile
from pathlib import Path
from typing import IO, Any

from genai_lab.errors import LabError

MANIFEST = "backup.json"
DATABASE = "lab.db"
FOLDERS = ("datasets", "models", "artefacts", "rollouts")
FILES = ("secret",)
LARGEST_MANIFEST = 256 * 2**20
LARGEST_HEADER = 2**16
SPARE = 2**26  # bytes that stay free on the disk
_NAMES = re.compile(rf"home/({'|'.join(FILES)}|({'|'.join(FOLDERS)})(/[^/\\\0]+)+)")
_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class _Member(tarfile.TarInfo):
    """A header, of which one that extends the next may not fill the memory."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _EXTENDED and self.size > LARGEST_HEADER:
            raise tarfile.ReadError("a header is too long")
        member: tarfile.TarInfo = super()._proc_member(tar)  # type: ignore[misc]
        return member


def unpack(path: Path, folder: Path) -> dict[str, Any]:
    """Writes the files of a backup into the empty folder `place` and gives its manifest.

    Nothing is written before all names, kinds and sizes are known to be right. Raises LabError, and TarError,
    ValueError or KeyError for what is not a complete backup.
    """
    with path.open("rb") as stream, _opened(path, stream) as tar:
        members = {member.name: member for member in _checked(path, tar)}
        for name in (MANIFEST, DATABASE):
            if name not in members:
                raise LabError(f"{path} is not a complete backup of a lab (it lacks {name}).")
        manifest = members.pop(MANIFEST)
        content = _manifest(tar, manifest)
        _compare(path, content, {name: member.size for name, member in members.items()})
        total = sum(member.size for member in members.values())
        if total + SPARE > shutil.disk_usage(folder).free:
            raise LabError(f"{path} needs {total / 2**30:.1f} GB, which the disk of {folder.parent} has not free.")
        for name, member in members.items():
            source = tar.extractfile(member)
            assert source is not None  # regular files have content
            _write(source, folder, name, member.size)
    return content


def _opened(path: Path, stream: IO[bytes]) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=stream, mode="r:", tarinfo=_Member)
    except tarfile.TarError:
        raise LabError(f"{path} is no .tar; give the file that the command backup wrote.") from None


def _checked(path: Path, tar: tarfile.TarFile) -> list[tarfile.TarInfo]:
    members: dict[str, tarfile.TarInfo] = {}
    for member in tar:
        name = member.name
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
            raise LabError(f"{path} holds {name[:200]!r}, which is not a regular file; nothing was restored.")
        parts = name.split("/")
        ours = name in (MANIFEST, DATABASE) or (_NAMES.fullmatch(name) and not {".", ".."} & set(parts))
        if not ours or name in members:
            raise LabError(f"{path} holds {name[:200]!r}, which no backup of a lab does; nothing was restored.")
        members[name] = member
    return list(members.values())


def _manifest(tar: tarfile.TarFile, member: tarfile.TarInfo) -> dict[str, Any]:
    if member.size > LARGEST_MANIFEST:
        raise ValueError("the manifest is too long")
    source = tar.extractfile(member)
    assert source is not None
    manifest = json.loads(source.read())
    rows, contents = manifest["rows"], manifest.get("contents", {})
    counts = [manifest["files"], *rows.values(), *contents.values()]
    if not isinstance(manifest["home"], str) or not all(isinstance(count, int) and count >= 0 for count in counts):
        raise ValueError("the manifest is none of a backup's")
    return dict(manifest)


def _compare(path: Path, manifest: dict[str, Any], sizes: dict[str, int]) -> None:
    """Backups of earlier versions tell how many files there were when they began, and no sizes."""
    if "contents" not in manifest:
        if len(sizes) - 1 > manifest["files"]:
            raise LabError(f"{path} holds more files than its manifest lists; nothing was restored.")
        return
    wrong = [name for name in {**manifest["contents"], **sizes} if manifest["contents"].get(name) != sizes.get(name)]
    if wrong:
        raise LabError(
            f"{path} is not a complete backup of a lab ({wrong[0][:200]!r} does not match its manifest); "
            "nothing was restored."
        )


def _write(source: IO[bytes], place: Path, name: str, size: int) -> None:
    target = place / name
    for folder in reversed(Path(name).parents):
        (place / folder).mkdir(mode=0o700, exist_ok=True)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        shutil.copyfileobj(source, stream)
        if stream.tell() != size:
            raise tarfile.ReadError("the file was cut off")
