"""Backups in the lab's own home: made by a job, listed, downloaded, deleted, restored by the commands shown."""

import errno
import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest
from fastapi.testclient import TestClient

from genai_lab.cli import main
from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.files import MARK
from genai_lab.services import backup, backup_store, jobs
from genai_lab.web import application
from pages import backup as page
from pages.components.confirm import Confirm
from tests.fake_lab import fake_lab as fake_lab
from tests.fake_lab import open_fake_lab
from tests.inline_jobs import run_inline


def make(lab: LabContext) -> backup_store.StoredBackup:
    view = run_inline(lab, backup_store.start(lab))
    assert (view.status, view.error) == ("finished", None)
    return backup_store.show(lab, view.settings["name"])


def test_a_job_makes_a_backup_with_progress_and_one_at_a_time(fake_lab: LabContext) -> None:
    (fake_lab.config.home / "models").mkdir(exist_ok=True)
    (fake_lab.config.home / "models" / "weights").write_bytes(b"x" * (backup.STEP + 5))
    reports: list[tuple[int, int, str]] = []
    job_id = backup_store.start(fake_lab)
    with pytest.raises(LabError, match=f"made already by job {job_id}"):
        backup_store.start(fake_lab)
    jobs.cancel(fake_lab, job_id)
    assert jobs.show(fake_lab, job_id).cancel_requested
    written = backup_store.write(fake_lab, "some.tar", lambda *report: reports.append(report))
    (stored,) = backup_store.find(fake_lab)
    assert (stored.name, stored.bytes, written["path"]) == ("some.tar", written["bytes"], stored.path)
    assert [done for done, _, _ in reports] == sorted(done for done, _, _ in reports)
    assert reports[-1][0] == reports[-1][1] > backup.STEP
    assert len([name for _, _, name in reports if name == "weights"]) == 2, "on the way, and at its end"


def test_a_backup_is_listed_downloaded_and_deleted(fake_lab: LabContext) -> None:
    stored = make(fake_lab)
    client = TestClient(application.create(fake_lab), base_url="http://127.0.0.1")
    answer = client.get(stored.address)
    assert answer.content == Path(stored.path).read_bytes()
    assert f'filename="{stored.name}"' in answer.headers["content-disposition"]
    for name in ("no.tar", "..%2Flab.db", "%2Fetc%2Fpasswd"):
        assert client.get(f"{backup_store.DOWNLOAD}/{name}").status_code == 404
    (fake_lab.config.home / "backups" / "link.tar").symlink_to(fake_lab.config.home / "lab.db")
    assert [view.name for view in backup_store.find(fake_lab)] == [stored.name]
    backup_store.delete(fake_lab, stored.name)
    assert backup_store.find(fake_lab) == []
    with pytest.raises(LabError, match="There is no backup"):
        backup_store.delete(fake_lab, stored.name)


def test_the_commands_that_are_shown_put_the_backup_in_the_place_of_the_lab(tmp_path: Path) -> None:
    home = tmp_path / "the home"
    lab = open_fake_lab(home)
    stored = make(lab)
    move, restore, start = map(shlex.split, backup_store.restore_commands(lab, stored.name))
    lab.close()
    (home / "datasets").mkdir(exist_ok=True)
    assert move[0] == "mv"
    shutil.move(move[1], move[2])
    assert restore[:3] == ["python", "-m", "genai_lab"]
    assert main(restore[3:]) == 0
    assert start == ["python", "app.py", "--home", str(home)]
    again = open_fake_lab(home)
    assert backup_store.find(again) == []
    again.close()


def test_what_goes_wrong_is_one_sentence_and_leaves_nothing(
    fake_lab: LabContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fake_lab.config.home / "backups"
    with monkeypatch.context() as patch:
        patch.setattr(backup.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
        view = run_inline(fake_lab, backup_store.start(fake_lab))
    assert view.error is not None
    assert view.error.startswith("The backup needs 0.00 GB and the disk of")
    (fake_lab.config.home / "models").mkdir(exist_ok=True)
    (fake_lab.config.home / "models" / "secret-weights").write_bytes(b"x")
    opened = Path.open

    def refuse(path: Path, *arguments: Any, **options: Any) -> IO[Any]:
        if path.name == "secret-weights":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    view = run_inline(fake_lab, backup_store.start(fake_lab))
    assert view.error is not None
    assert "secret-weights cannot be read (Permission denied), so no backup was made" in view.error
    assert list(folder.iterdir()) == []
    with pytest.raises(LabError, match="no name of a backup"):
        backup_store.write(fake_lab, "../out.tar", lambda *_: None)


def test_what_a_killed_job_left_is_removed_by_the_next(fake_lab: LabContext) -> None:
    folder = fake_lab.config.home / "backups"
    left = folder / f".lab.tar{MARK}999999999-abc"
    left.mkdir(parents=True)
    (left / "lab.db").write_bytes(b"half")
    stored = make(fake_lab)
    assert [path.name for path in folder.iterdir()] == [stored.name]


def test_the_commands_of_the_command_line(
    fake_lab: LabContext, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("genai_lab.bootstrap.open_lab", lambda config: fake_lab)
    monkeypatch.setattr(fake_lab, "close", lambda: None)
    assert main(["backups", "create"]) == 0
    (stored,) = backup_store.find(fake_lab)
    assert capsys.readouterr().out.startswith(f"{stored.path}: ")
    assert main(["backups", "list"]) == 0
    assert stored.path in capsys.readouterr().out
    assert main(["backups", "how-to-restore", stored.name]) == 0
    assert f"restore {fake_lab.config.home}.before-restore/backups/{stored.name}" in capsys.readouterr().out
    assert main(["backups", "delete", stored.name]) == 0
    assert main(["backups", "list"]) == 0
    assert capsys.readouterr().out.endswith("No backups; backups create makes one.\n")
    assert main(["backups", "delete", stored.name]) == 2


# The page


def test_the_page_selects_explains_and_deletes(fake_lab: LabContext) -> None:
    import gradio as gr

    empty = page.load_page(fake_lab)
    assert (empty["table"], empty["delete"]["visible"]) == ({"rows": []}, False)
    stored = make(fake_lab)
    drawn = page.refresh(fake_lab, {"name": "", "drawn_state": empty["drawn_state"]})
    assert [row["name"] for row in drawn["table"]["rows"]] == [stored.name]
    assert page.refresh(fake_lab, {"name": "", "drawn_state": drawn["drawn_state"]}) == {}
    chosen = page.select_backup(fake_lab, SimpleNamespace(name=stored.name))  # type: ignore[arg-type]
    assert chosen["commands"]["value"].splitlines() == backup_store.restore_commands(fake_lab, stored.name)
    assert (chosen["guide"]["name"], chosen["delete"]["visible"]) == (stored.name, True)
    with gr.Blocks():
        confirm = Confirm("Delete", "confirm")
    assert page.ask_to_delete(confirm, stored.name)[1].startswith(f"Delete {stored.name}?")
    with pytest.raises(LabError, match="No backup is selected"):
        page.ask_to_delete(confirm, "")
    assert page.delete_backup(fake_lab, {"name": stored.name})["table"] == {"rows": []}


def test_a_folder_that_cannot_be_read_is_said_in_its_place(
    fake_lab: LabContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    (fake_lab.config.home / "backups").mkdir()

    def refuse(path: Path) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    drawn = page.render(fake_lab, {"name": ""})
    assert "cannot be read (Permission denied)" in drawn["table"]["problem"]
