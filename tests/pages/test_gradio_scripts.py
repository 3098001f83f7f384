"""Gradio's scripts with the lab's repairs: both of the pinned version's, at their own addresses, and no other's."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from pages import gradio_scripts


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    gradio_scripts.add_routes(app)
    return TestClient(app)


def test_each_script_of_the_pinned_gradio_is_repaired_and_else_as_it_was(client: TestClient) -> None:
    scripts = gradio_scripts.repaired()
    assert [next(name for name in scripts if name.startswith(start)) for start in gradio_scripts.REPAIRS]
    assert len(scripts) == len(gradio_scripts.REPAIRS)
    for name, text in scripts.items():
        answer = client.get(f"/assets/{name}")
        assert answer.text == text
        assert answer.headers["content-type"].startswith("text/javascript")
        [changes] = [changes for start, changes in gradio_scripts.REPAIRS.items() if name.startswith(start)]
        for old, new in changes.items():
            assert text.count(new) == 1
            text = text.replace(new, old)
        assert text == gradio_scripts.FOLDER.joinpath(name).read_text()
        again = client.get(f"/assets/{name}", headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_a_script_that_is_written_otherwise_is_left_to_gradio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradio_scripts, "FOLDER", tmp_path)
    (tmp_path / "Blocks-1.js").write_text("async update_loading_stati_state(){}")
    (tmp_path / "statustracker-1.js").write_text("W&&ze();W&&ze()")
    (tmp_path / "statustracker-1.css").write_text("W&&ze()")
    assert gradio_scripts.repaired() == {}
