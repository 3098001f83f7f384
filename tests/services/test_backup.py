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
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup with the secret, a dataset's file and a model's."""
    place = tmp_path_factory.mktemp("whole")
    lab = open_lab(place / "home")
    links.sign(lab, "makes the secret")
    for name in ("datasets/1/data.parquet", "models/made/model.safetensors"):
        (lab.config.home / name).parent.mkdir(parents=True)
        (lab.config.home / name).write_bytes(b"content of " + name.encode() * 300)
    backup.backup(lab, place / "lab.tar")
    lab.close()
    return place / "lab.tar"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_homes_databases_and_backups_are_their_owners_alone(whole: Path, tmp_path: Path) -> None:
    home = whole.parent / "home"
    assert [mode(home), mode(home / "lab.db"), mode(home / "secret"), mode(whole)] == [0o700, 0o600, 0o600, 0o600]
    older = tmp_path / "older"
    backup.restore(Config(home=older), whole)
    assert {mode(path) for path in (older, older / "datasets", older / "models")} == {0o700}
    assert {mode(path) for path in older.rglob("*") if path.is_file()} == {0o600}
    for path in (older, older / "jobs", older / "models"):
        path.mkdir(exist_ok=True)
        path.chmod(0o755)
    (older / "lab.db").chmod(0o644)
    bootstrap.open_lab(Config(home=older, database_url=f"sqlite:///{older / 'lab.db'}")).close()
    assert [mode(older / name) for name in ("lab.db", "jobs", "models")] == [0o600, 0o700, 0o700]


def test_a_restored_lab_has_the_same_files(whole: Path, tmp_path: Path) -> None:
    made = backup.restore(Config(home=tmp_path / "again"), whole)
    assert made.files == 3
    for name in ("secret", "datasets/1/data.parquet", "models/made/model.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (whole.parent / "home" / name).read_bytes()
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
    ("more", "words"),
    [
        (link("home/artefacts/l", "../../victim.txt"), "no regular file"),
        (link("home/extra", ".."), "no regular file"),
        (link("home/datasets/l", "home/secret", tarfile.LNKTYPE), "no regular file"),
        (link("home/datasets/d", "", tarfile.DIRTYPE), "no regular file"),
        (link("home/datasets/f", "", tarfile.FIFOTYPE), "no regular file"),
        (link("home/datasets/c", "", tarfile.CHRTYPE), "no regular file"),
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
        (file("home/models/made/more.bin"), "is not as its manifest tells"),
    ],
)
def test_what_no_backup_holds_is_refused_and_nothing_is_left(
    whole: Path, tmp_path: Path, more: Added, words: str
) -> None:
    hostile = Path(shutil.copy(whole, tmp_path / "hostile.tar"))
    with tarfile.open(hostile, "a") as tar:
        more(tar)
    refused(tmp_path, hostile, words)


def refused(tmp_path: Path, path: Path, words: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(LabError, match=words):
        backup.restore(Config(home=tmp_path / "new"), path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_backup_cut_anywhere_is_refused_and_nothing_is_left(whole: Path, tmp_path: Path) -> None:
    data = whole.read_bytes()
    with tarfile.open(whole) as tar:
        edges = {place for one in tar for place in (one.offset, one.offset_data, one.offset_data + one.size // 2)}
    for place in sorted({*edges, 100, len(data) // 3, len(data) // 2}):
        (tmp_path / "cut.tar").write_bytes(data[:place])
        refused(tmp_path, tmp_path / "cut.tar", r"no whole backup|no \.tar")


def test_a_compressed_or_swollen_backup_is_refused_before_it_is_written(whole: Path, tmp_path: Path) -> None:
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
    refused(tmp_path, tmp_path / "sparse.tar", "no regular file")
    long = tarfile.TarInfo("././@LongLink")
    long.type, long.size = tarfile.GNUTYPE_LONGNAME, 2**40
    with (tmp_path / "long.tar").open("wb") as stream:
        stream.write(long.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    refused(tmp_path, tmp_path / "long.tar", r"no whole backup|no \.tar")


class Zeros(io.RawIOBase):
    def read(self, size: int = -1) -> bytes:
        return bytes(size)


def remade(
    whole: Path, path: Path, change: Callable[[dict[str, Any]], Any] = lambda told: told, **other: bytes
) -> Path:
    """The backup with another manifest, or another content of a member."""
    with tarfile.open(whole) as source, tarfile.open(path, "w") as target:
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
        lambda told: [],
        lambda told: told | {"home": 3},
        lambda told: told | {"rows": {"models": "many"}},
        lambda told: told | {"rows": told["rows"] | {"models": 99}},
        lambda told: told | {"contents": told["contents"] | {"home/models/missing": 3}},
        lambda told: {key: told[key] for key in ("home", "rows")},
        lambda told: {key: told[key] for key in ("home", "rows")} | {"files": 1},
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(whole: Path, tmp_path: Path, change: Any) -> None:
    refused(tmp_path, remade(whole, tmp_path / "odd.tar", change), "no whole|other rows|more files")


def test_a_database_that_is_none_or_has_triggers_is_refused(whole: Path, tmp_path: Path) -> None:
    def without_sizes(told: dict[str, Any]) -> dict[str, Any]:
        return {key: told[key] for key in ("home", "rows", "files")}

    refused(tmp_path, remade(whole, tmp_path / "garbage.tar", without_sizes, lab_db=b"garbage" * 999), "no whole")
    with tarfile.open(whole) as tar:
        (tmp_path / "lab.db").write_bytes(tar.extractfile("lab.db").read())  # type: ignore[union-attr]
    connection = sqlite3.connect(tmp_path / "lab.db")
    connection.execute("CREATE TRIGGER t AFTER UPDATE ON models BEGIN DELETE FROM runs; END")
    connection.commit()
    connection.close()
    changed = (tmp_path / "lab.db").read_bytes()
    refused(tmp_path, remade(whole, tmp_path / "trigger.tar", without_sizes, lab_db=changed), "triggers")


def test_a_backup_of_an_earlier_version_is_restored(whole: Path, tmp_path: Path) -> None:
    """Its manifest came first and told no sizes."""
    with tarfile.open(whole) as source, tarfile.open(tmp_path / "earlier.tar", "w") as target:
        told = json.loads(source.extractfile("backup.json").read())  # type: ignore[union-attr]
        del told["contents"]
        file("backup.json", json.dumps(told).encode())(target)
        for member in source:
            if member.name != "backup.json":
                target.addfile(member, source.extractfile(member))
    assert backup.restore(Config(home=tmp_path / "new"), tmp_path / "earlier.tar").files == 3
