"""GGUF files as models of the catalogue: from a path, from the Hub, by name; with a run, once, and untrusted."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError, ModelError
from genai_lab.services import generation, jobs, lineage, models
from genai_lab.services.jobs.handlers import HANDLERS
from genai_lab.services.models.converting import GgufSource, gguf_source, plain_name
from tests.inline_jobs import InlineReport, wait_inline
from tests.models.gguf_files import write_gguf
from tests.models.servers import SmallHub, serving
from tests.tiny import open_new, random_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_model(tmp_path_factory.mktemp("models") / "tiny", chat=True)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[LabContext]:
    lab = open_new(Config(home=tmp_path / "home", device="cpu", dtype="float32", model_roots=(tmp_path,)))
    yield lab
    lab.close()


def by_transformers(folder: Path, text: str) -> str:
    """The greedy answer of eight tokens, by transformers alone."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    inputs = tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    written = model.generate(**inputs, max_new_tokens=8, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    return str(tokenizer.decode(written, skip_special_tokens=True))


def converted(lab: LabContext, path: Path, name: str = "") -> models.ModelView:
    started = models.convert(lab, GgufSource(str(path)), name)
    return models.show(lab, (wait_inline(lab, started.job_id).result or {})["model"])


def test_a_file_becomes_a_model_that_generates_in_chat(lab: LabContext, folder: Path, tmp_path: Path) -> None:
    view = converted(lab, write_gguf(folder, tmp_path / "Tiny-Model.Q8_0.gguf", "Q8_0"))
    assert view.card.name == "Tiny-Model"
    assert (view.status, view.card.modes[0], view.card.dtype) == ("ready", "chat", "bfloat16")
    assert view.card.converted_from == "Tiny-Model.Q8_0.gguf"
    assert view.card.path is not None
    assert view.card.path.is_relative_to(lab.config.home)
    prompt = models.prompt_for(lab, "Tiny-Model", "Once upon a time")
    (completion,) = generation.generate(lab, "Tiny-Model", prompt, Sampling(greedy=True, max_new_tokens=8)).completions
    assert completion.text == by_transformers(view.card.path, "Once upon a time")
    (node,) = lineage.walk(lab, "Tiny-Model").of("convert run")
    assert (node.detail["file"], node.detail["quantisation"]) == ("Tiny-Model.Q8_0.gguf", "Q8_0")
    assert len(node.detail["sha256"]) == 64


def test_the_same_file_is_converted_once_and_removed_with_its_model(
    lab: LabContext, folder: Path, tmp_path: Path
) -> None:
    path = write_gguf(folder, tmp_path / "tiny.gguf")
    first, second = converted(lab, path), converted(lab, path, "again")
    assert second.id == first.id
    copy = first.card.path
    assert copy is not None
    models.remove(lab, first.card.name)
    assert not copy.exists()
    assert path.exists()


def test_names_do_not_meet(lab: LabContext, folder: Path, tmp_path: Path) -> None:
    first = write_gguf(folder, tmp_path / "tiny.gguf")
    second = write_gguf(folder, tmp_path / "tiny.Q8_0.gguf", "Q8_0")
    started = [models.convert(lab, GgufSource(str(path))) for path in (first, second)]
    assert [start.name for start in started] == ["tiny", "tiny"]
    names = {(wait_inline(lab, start.job_id).result or {})["model"] for start in started}
    assert names == {"tiny", "tiny-2"}


def test_progress_is_told_in_bytes(lab: LabContext, folder: Path, tmp_path: Path) -> None:
    path = write_gguf(folder, tmp_path / "tiny.gguf")
    started, report = models.convert(lab, GgufSource(str(path))), InlineReport(tmp_path)
    HANDLERS.get("convert").run(lab, jobs.show(lab, started.job_id).settings, report)
    done, total, _ = report.last
    assert total == path.stat().st_size
    assert 0 < done <= total


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("owner/name/file.Q4_K_M.gguf", GgufSource(repo="owner/name", file="file.Q4_K_M.gguf")),
        (
            "https://huggingface.co/owner/name/blob/main/file.gguf",
            GgufSource(repo="owner/name", file="file.gguf", revision="main"),
        ),
        (
            "https://huggingface.co/owner/name/resolve/abc/file.gguf?download=true",
            GgufSource(repo="owner/name", file="file.gguf", revision="abc"),
        ),
        ("/somewhere/file.gguf", GgufSource("/somewhere/file.gguf")),
        ("owner/name", None),
        ("", None),
    ],
)
def test_what_a_text_names(text: str, source: GgufSource | None) -> None:
    assert gguf_source(text) == source


def test_names_of_files_lose_ending_and_type() -> None:
    names = ["SmolLM2-135M-Instruct.Q4_1.gguf", "qwen-0.6b-q8_0.gguf", "a b.IQ4_XS.gguf", "x-BF16.GGUF", "v1.gguf"]
    assert [plain_name(name) for name in names] == ["SmolLM2-135M-Instruct", "qwen-0.6b", "a-b", "x", "v1"]


def test_files_outside_the_roots_and_damaged_ones_are_refused(lab: LabContext, tmp_path: Path) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF but nothing more than words here")
    for path, message in ((bad, "GGUF version"), (tmp_path / "none.gguf", "no file"), (Path("/etc/passwd"), "outside")):
        with pytest.raises(ModelError, match=message):
            models.convert(lab, GgufSource(str(path)))
    with pytest.raises(LabError, match="is not a GGUF file"):
        models.convert_model(lab, "starter-causal")
    assert not jobs.find(lab)[0]


def test_a_file_that_changed_since_it_was_queued_fails_the_job(lab: LabContext, folder: Path, tmp_path: Path) -> None:
    path = write_gguf(folder, tmp_path / "tiny.gguf")
    started = models.convert(lab, GgufSource(str(path)))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ModelError, match="damaged"):
        HANDLERS.get("convert").run(lab, jobs.show(lab, started.job_id).settings, InlineReport(tmp_path))
    assert not list((lab.config.home / "models").glob("*"))


def test_a_file_of_the_hub_is_fetched_checked_and_converted(
    lab: LabContext, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "served").mkdir()
    path = write_gguf(folder, tmp_path / "served" / "tiny.Q8_0.gguf", "Q8_0")
    with serving(SmallHub(path.parent).handler()) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        with pytest.raises(ModelError, match=r"has no file 'other.gguf'; it has tiny.Q8_0.gguf"):
            models.convert(lab, GgufSource(repo="owner/small", file="other.gguf"))
        started = models.convert(lab, GgufSource(repo="owner/small", file=path.name))
        assert (started.name, started.bytes) == ("tiny", path.stat().st_size)
        view = models.show(lab, (wait_inline(lab, started.job_id).result or {})["model"])
    assert view.status == "ready"
    (file,) = (lab.config.home / "models" / "files").rglob("*.gguf")
    assert file.read_bytes() == path.read_bytes()


def test_a_damaged_file_of_the_hub_is_refused(
    lab: LabContext, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "served").mkdir()
    hub = SmallHub(write_gguf(folder, tmp_path / "served" / "tiny.gguf").parent)
    hub.spoil = True
    with serving(hub.handler()) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        started = models.convert(lab, GgufSource(repo="owner/small", file="tiny.gguf"))
        with pytest.raises(ModelError, match="arrived damaged"):
            HANDLERS.get("convert").run(lab, jobs.show(lab, started.job_id).settings, InlineReport(tmp_path))
    assert not list(lab.config.home.rglob("*.gguf"))


def test_settings_of_the_job_are_json(lab: LabContext, folder: Path, tmp_path: Path) -> None:
    started = models.convert(lab, GgufSource(str(write_gguf(folder, tmp_path / "tiny.gguf"))))
    assert json.loads(json.dumps(jobs.show(lab, started.job_id).settings))["name"] == "tiny"
