"""Files that are written as a whole, by several threads at once, and after a process was killed."""

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from genai_lab.files import MARK, atomic_folder, atomic_write, write_json


def test_many_threads_write_one_file_and_readers_see_one_of_their_values(tmp_path: Path) -> None:
    path, values, observed = tmp_path / "job.json", list(range(8)), set()
    write_json(path, {"value": 0})
    problems: list[BaseException] = []

    def write(value: int) -> None:
        try:
            for _ in range(25):
                write_json(path, {"value": value, "padding": "x" * 5000})
                observed.add(json.loads(path.read_text())["value"])
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=write, args=(value,)) for value in values]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert observed <= set(values)
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path, folder = tmp_path / "a.txt", tmp_path / "b"
    path.write_text("before")
    folder.mkdir()
    (folder / "file").write_text("before")

    def fail(write: Any, half: str) -> None:
        with write as draft:
            (draft / half).write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail(atomic_write(path), "")
    with pytest.raises(RuntimeError):
        fail(atomic_folder(folder), "file")
    assert (path.read_text(), (folder / "file").read_text()) == ("before", "before")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b"]


def test_a_folder_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    folder = tmp_path / "model.v1"
    for name in ("first", "second"):
        with atomic_folder(folder) as draft:
            (draft / name).write_text(name)
    assert [path.name for path in folder.iterdir()] == ["second"]


def test_drafts_of_dead_processes_are_removed_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    mine, file, folder = (
        tmp_path / f".{name}{MARK}{pid}-0{name}" for name, pid in (("a", os.getpid()), ("b", gone.pid), ("c", gone.pid))
    )
    mine.write_text("")
    file.write_text("")
    folder.mkdir()
    write_json(tmp_path / "d.json", 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([mine.name, "d.json"])
