"""A backup is private and restores to the same lab; a hostile, cut or swollen one is refused and leaves nothing."""

import io
import json
import shutil
import sqlite3
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.errors import LabError
from genai_lab.services import backup
from genai_lab.services.feedback import links
from tests.tiny import open_lab


@pytest.fixture(scope="module")
def full_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup with the secret, a dataset's file and a model's."""
    folder = tmp_path_factory.mktemp("whole")
    lab = open_lab(folder / "home")
    links.sign(lab, "makes the secret")
    for name in ("datasets/1/data.parquet", "models/made/model.safetensors"):
        (lab.config.home / name).parent.mkdir(parents=True)
        (lab.config.home / name).write_bytes(b"content of " + name.encode() * 300)
    backup.backup(lab, folder / "lab.tar")
    lab.close()
    return folder / "lab.tar"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_homes_databases_and_backups_are_their_owners_alone(full_file: Path, tmp_path: Path) -> None:
    home = full_file.parent / "home"
    assert [mode(home), mode(home / "lab.db"), mode(home / "secret"), mode(full_file)] == [0o700, 0o600, 0o600, 0o600]
    older = tmp_path / "older"
    backup.restore(Config(home=older), full_file)
    assert {mode(path) for path in (older, older / "datasets", older / "models")} == {0o700}
    assert {mode(path) for path in older.rglob("*") if path.is_file()} == {0o600}
    for path in (older, older / "jobs", older / "models"):
        path.mkdir(exist_ok=True)
        path.chmod(0o755)
    (older / "lab.db").chmod(0o644)
    bootstrap.open_lab(Config(home=older, database_url=f"sqlite:///{older / 'lab.db'}")).close()
    assert [mode(older / name) for name in ("lab.db", "jobs", "models")] == [0o600, 0o700, 0o700]


def test_a_restored_lab_has_the_same_files(full_file: Path, tmp_path: Path) -> None:
    restored = backup.restore(Config(home=tmp_path / "again"), full_file)
    assert restored.files == 3
    for name in ("secret", "datasets/1/data.parquet", "models/made/model.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (full_file.parent / "home" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == ["datasets", "lab.db", "models", "secret"]


Added = Callable[[tarfile.TarFile], None]


def file(name: str, content: bytes = b"planted") -> Added:
    def add(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))

    return add


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Added:
    def add(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        tar.addfile(info)

    return add


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (link("home/artefacts/l", "../../victim.txt"), "not a regular file"),
        (link("home/extra", ".."), "not a regular file"),
        (link("home/datasets/l", "home/secret", tarfile.LNKTYPE), "not a regular file"),
        (link("home/datasets/d", "", tarfile.DIRTYPE), "not a regular file"),
        (link("home/datasets/f", "", tarfile.FIFOTYPE), "not a regular file"),
        (link("home/datasets/c", "", tarfile.CHRTYPE), "not a regular file"),
        (file("home/jobs/99/log.txt"), "no backup of a lab does"),
        (file("home/lab.lock"), "no backup of a lab does"),
        (file("home/lab.db-wal"), "no backup of a lab does"),
        (file("home/sessions.json"), "no backup of a lab does"),
        (file("lab.db-wal"), "no backup of a lab does"),
        (file("home/datasets/../../out"), "no backup of a lab does"),
        (file("home/datasets//out"), "no backup of a lab does"),
        (file("../out"), "no backup of a lab does"),
        (file("/tmp/out"), "no backup of a lab does"),
        (file("home/secret"), "no backup of a lab does"),
        (file("home/models/made/more.bin"), "does not match its manifest"),
    ],
)
def test_what_no_backup_holds_is_refused_and_nothing_is_left(
    full_file: Path, tmp_path: Path, options: Added, message: str
) -> None:
    hostile = Path(shutil.copy(full_file, tmp_path / "hostile.tar"))
    with tarfile.open(hostile, "a") as tar:
        options(tar)
    refused(tmp_path, hostile, message)


def refused(tmp_path: Path, path: Path, message: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(LabError, match=message):
        backup.restore(Config(home=tmp_path / "new"), path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_backup_cut_anywhere_is_refused_and_nothing_is_left(full_file: Path, tmp_path: Path) -> None:
    data = full_file.read_bytes()
    with tarfile.open(full_file) as tar:
        edges = {index for item in tar for index in (item.offset, item.offset_data, item.offset_data + item.size // 2)}
    for index in sorted({*edges, 100, len(data) // 3, len(data) // 2}):
        (tmp_path / "cut.tar").write_bytes(data[:index])
        refused(tmp_path, tmp_path / "cut.tar", r"not a complete backup|no \.tar")


def test_a_compressed_or_swollen_backup_is_refused_before_it_is_written(full_file: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "bomb.tar", "w:gz") as tar:
        info = tarfile.TarInfo("lab.db")
        info.size = 2**26
        tar.addfile(info, Zeros())
    assert (tmp_path / "bomb.tar").stat().st_size < 2**17
    refused(tmp_path, tmp_path / "bomb.tar", r"no \.tar")
    sparse = tarfile.TarInfo("lab.db")
    sparse.type, sparse.size = tarfile.GNUTYPE_SPARSE, 0
    with (tmp_path / "sparse.tar").open("wb") as stream:
        stream.write(sparse.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    refused(tmp_path, tmp_path / "sparse.tar", "not a regular file")
    long = tarfile.TarInfo("././@LongLink")
    long.type, long.size = tarfile.GNUTYPE_LONGNAME, 2**40
    with (tmp_path / "long.tar").open("wb") as stream:
        stream.write(long.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    refused(tmp_path, tmp_path / "long.tar", r"not a complete backup|no \.tar")


class Zeros(io.RawIOBase):
    def read(self, size: int = -1) -> bytes:
        return bytes(size)


def remade(
    full_file: Path, path: Path, change: Callable[[dict[str, Any]], Any] = lambda manifest: manifest, **other: bytes
) -> Path:
    """The backup with another manifest, or another content of a member."""
    with tarfile.open(full_file) as source, tarfile.open(path, "w") as target:
        for member in source:
            content = source.extractfile(member).read()  # type: ignore[union-attr]
            if member.name == "backup.json":
                content = json.dumps(change(json.loads(content))).encode()
            content = other.get(member.name.replace(".", "_"), content)
            file(member.name, content)(target)
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: [],
        lambda manifest: manifest | {"home": 3},
        lambda manifest: manifest | {"rows": {"models": "many"}},
        lambda manifest: manifest | {"rows": manifest["rows"] | {"models": 99}},
        lambda manifest: manifest | {"contents": manifest["contents"] | {"home/models/missing": 3}},
        lambda manifest: {key: manifest[key] for key in ("home", "rows")},
        lambda manifest: {key: manifest[key] for key in ("home", "rows")} | {"files": 1},
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(full_file: Path, tmp_path: Path, change: Any) -> None:
    refused(tmp_path, remade(full_file, tmp_path / "odd.tar", change), "not a complete|other rows|more files")


def test_a_database_that_is_none_or_has_triggers_is_refused(full_file: Path, tmp_path: Path) -> None:
    def without_sizes(manifest: dict[str, Any]) -> dict[str, Any]:
        return {key: manifest[key] for key in ("home", "rows", "files")}

    refused(
        tmp_path, remade(full_file, tmp_path / "garbage.tar", without_sizes, lab_db=b"garbage" * 999), "not a complete"
    )
    with tarfile.open(full_file) as tar:
        (tmp_path / "lab.db").write_bytes(tar.extractfile("lab.db").read())  # type: ignore[union-attr]
    connection = sqlite3.connect(tmp_path / "lab.db")
    connection.execute("CREATE TRIGGER t AFTER UPDATE ON models BEGIN DELETE FROM runs; END")
    connection.commit()
    connection.close()
    changed = (tmp_path / "lab.db").read_bytes()
    refused(tmp_path, remade(full_file, tmp_path / "trigger.tar", without_sizes, lab_db=changed), "triggers")


def test_a_backup_of_an_earlier_version_is_restored(full_file: Path, tmp_path: Path) -> None:
    """Its manifest came first and told no sizes."""
    with tarfile.open(full_file) as source, tarfile.open(tmp_path / "earlier.tar", "w") as target:
        content = json.loads(source.extractfile("backup.json").read())  # type: ignore[union-attr]
        del content["contents"]
        file("backup.json", json.dumps(content).encode())(target)
        for member in source:
            if member.name != "backup.json":
                target.addfile(member, source.extractfile(member))
    assert backup.restore(Config(home=tmp_path / "new"), tmp_path / "earlier.tar").files == 3
