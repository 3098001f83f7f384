"""The catalogue service: adding, downloading, loading, putting away; on real folders and the tests' own Hub."""

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import BadSetting, DuplicateName, LabError, ModelError, UnknownName
from genai_lab.models import Generator, Prompt, Request, Source, starter
from genai_lab.services import generation, models
from genai_lab.services.jobs.supervisor import stand_in
from genai_lab.services.models import hashing
from tests.models.folders import lora, small_llama, soft_prompt
from tests.models.servers import SHA, SmallEndpoint, SmallHub, serving
from tests.waiting import until, until_ended


def open_lab(tmp_path: Path) -> LabContext:
    return bootstrap.open_lab(Config(home=tmp_path / "home", model_roots=(tmp_path / "models",), device="cpu"))


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LabContext]:
    monkeypatch.setattr(starter, "WEIGHTS", tmp_path / "weights")
    small_llama(tmp_path / "weights" / "starter-causal")
    opened_lab = open_lab(tmp_path)
    yield opened_lab
    opened_lab.close()


@pytest.fixture
def local(tmp_path: Path) -> Source:
    return Source("local", str(small_llama(tmp_path / "models" / "small")))


def names(lab: LabContext, **how: object) -> list[str]:
    return [view.card.name for view in models.catalogue(lab, **how)]  # type: ignore[arg-type]


def test_starters_are_registered_on_first_opening_and_follow_their_weights(lab: LabContext, tmp_path: Path) -> None:
    assert names(lab) == ["starter-causal"]
    first = models.show(lab, "starter-causal")
    models.register_starters(lab)
    assert models.show(lab, "starter-causal") == first
    small_llama(tmp_path / "weights" / "starter-causal", seed=5)
    models.register_starters(lab)
    assert models.show(lab, "starter-causal").card.content_hash != first.card.content_hash
    (tmp_path / "weights" / "starter-causal" / "model.safetensors").write_bytes(b"")
    models.register_starters(lab)
    assert names(lab) == ["starter-causal"]


def test_added_model_generates_is_counted_and_survives_reopening(
    lab: LabContext, local: Source, tmp_path: Path
) -> None:
    view = models.add(lab, "small", local)
    assert (view.status, view.card.source) == ("ready", local)
    generated = generation.generate(lab, "small", Prompt(text="ab"), Sampling(greedy=True, max_new_tokens=4))
    assert generated.completions[0].completion_tokens >= 1
    assert generated.model_hash == view.card.content_hash
    assert models.show(lab, "small").status == "loaded"
    state = models.budget(lab)
    assert state.loaded["small"].measured
    assert state.used_bytes == state.loaded["small"].memory_bytes >= 8 * (view.card.parameters or 0)
    assert state.process_bytes > state.used_bytes
    assert set(state.loaded) == {"small"}
    models.unload(lab, "small")
    assert models.show(lab, "small").status == "ready"
    other = open_lab(tmp_path)
    assert models.show(other, "small").card == view.card
    other.close()


def test_model_with_runs_is_archived_and_not_removed(lab: LabContext, local: Source) -> None:
    models.add(lab, "small", local)
    generation.generate(lab, "small", Prompt(text="ab"), Sampling(greedy=True, max_new_tokens=1))
    with pytest.raises(ModelError, match="archive it instead"):
        models.remove(lab, "small")
    models.archive(lab, "small")
    assert "small" not in names(lab)
    assert names(lab, archived=True) == ["small"]
    assert models.budget(lab).used_bytes == 0
    with pytest.raises(ModelError, match="small is archived"):
        models.load(lab, "small")
    models.restore(lab, "small")
    assert models.show(lab, "small").status == "ready"


def test_removing_forgets_the_model_and_leaves_the_users_folder_alone(lab: LabContext, local: Source) -> None:
    models.add(lab, "small", local)
    models.remove(lab, "small")
    assert "small" not in names(lab)
    assert (Path(local.location) / "model.safetensors").is_file()
    with pytest.raises(ModelError, match="shipped with the lab"):
        models.remove(lab, "starter-causal")


def test_base_of_an_adapter_stays_while_the_adapter_is_there(lab: LabContext, local: Source, tmp_path: Path) -> None:
    models.add(lab, "small", local)
    tuned = Source("adapter", str(lora(tmp_path / "models" / "lora")), base="small")
    models.add(lab, "tuned", tuned)
    generated = [
        generation.generate(lab, name, Prompt(text="ab"), Sampling(greedy=True, max_new_tokens=6)).completions[0].tokens
        for name in ("small", "tuned")
    ]
    assert generated[0] != generated[1]
    with pytest.raises(ModelError, match="refer"):
        models.remove(lab, "small")
    with pytest.raises(ModelError, match="not in the catalogue"):
        models.add(lab, "lost", Source("adapter", tuned.location, base="nothing"))


def test_adapters_decode_on_their_base_even_when_it_is_archived(lab: LabContext, local: Source, tmp_path: Path) -> None:
    models.add(lab, "small", local)
    for name, make in (("tuned", lora), ("soft", soft_prompt)):
        models.add(lab, name, Source("adapter", str(make(tmp_path / "models" / name)), base="small"))
    models.archive(lab, "small")
    texts = {name: say(models.load(lab, name)) for name in ("tuned", "soft")}
    assert set(models.budget(lab).loaded) == {"small", "tuned", "soft"}
    card = models.show(lab, "small").card
    loaded = models.budget(lab).loaded
    assert [loaded[name].measured for name in ("small", "tuned", "soft")] == [True, False, False]
    assert loaded["soft"].memory_bytes < loaded["tuned"].memory_bytes < 5 * (card.parameters or 0)
    for name in ("tuned", "soft"):
        separate: Any = models.load_apart(lab, name)
        assert say(separate) == texts[name]
        assert separate.module.config.vocab_size == 258
        separate.close()
    shutil.rmtree(local.location)
    models.restore(lab, "small")
    models.unload(lab, "small")
    with pytest.raises(ModelError, match=r"The base small of tuned is missing: The folder .* is gone"):
        models.load(lab, "tuned")


def say(generator: Generator) -> tuple[int | None, ...]:
    [stream] = generator.submit([Request(Prompt("ab"), Sampling(greedy=True, max_new_tokens=8))])
    list(stream)
    return tuple(token.id for token in stream.completions[0].tokens)


def test_refused_models_change_nothing(lab: LabContext, local: Source, tmp_path: Path) -> None:
    models.add(lab, "small", local)
    before = names(lab)
    broken = small_llama(tmp_path / "models" / "broken")
    (broken / "model.safetensors").write_bytes(b"\0" * 20)
    with pytest.raises(LabError):
        models.add(lab, "broken", Source("local", str(broken)))
    with pytest.raises(DuplicateName):
        models.add(lab, "small", local)
    for name in ("", "  ", "<script>", "a\nb", "x" * 101, "../up"):
        with pytest.raises(BadSetting):
            models.add(lab, name, local)
    with pytest.raises(UnknownName, match="starter"):
        models.add(lab, "new", Source("magic", "here"))
    with pytest.raises(UnknownName, match="small"):
        models.show(lab, "nothing")
    assert names(lab) == before


def test_folder_that_has_gone_is_missing_in_words(lab: LabContext, local: Source, tmp_path: Path) -> None:
    models.add(lab, "small", local)
    (tmp_path / "models" / "small").rename(tmp_path / "models" / "moved")
    view = models.show(lab, "small")
    assert view.status == "missing"
    with pytest.raises(ModelError, match="small is missing: The folder"):
        models.load(lab, "small")


def test_classifier_is_listed_and_does_not_generate(lab: LabContext, tmp_path: Path) -> None:
    folder = small_llama(tmp_path / "models" / "judge", architectures=["LlamaForSequenceClassification"])
    models.add(lab, "judge", Source("local", str(folder)))
    assert names(lab, role="classify") == ["judge"]
    for use in (lambda: models.load(lab, "judge"), lambda: models.prompt_for(lab, "judge", "a")):
        with pytest.raises(ModelError, match="cannot generate"):
            use()


def test_prompt_takes_the_models_best_mode(lab: LabContext, local: Source) -> None:
    models.add(lab, "small", local)
    assert models.prompt_for(lab, "small", "a") == Prompt(text="a", mode="completion")
    with pytest.raises(BadSetting, match="completion for small"):
        models.prompt_for(lab, "small", "a", "text-to-text")


def test_endpoint_is_added_and_used_like_any_other(lab: LabContext) -> None:
    endpoint = SmallEndpoint()
    with serving(endpoint.handler()) as address:
        models.add(lab, "remote", Source("endpoint", address, remote_name="tiny"))
        prompt = models.prompt_for(lab, "remote", "Hi")
        generated = generation.generate(lab, "remote", prompt, Sampling(seed=3, max_new_tokens=9))
        assert generated.completions[0].text == "Hello there, friend 3"
        models.unload(lab, "remote")
    made_later = models.show(lab, "remote")
    assert made_later.status == "ready"


@pytest.fixture
def small_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallHub]:
    hub = SmallHub(small_llama(tmp_path / "served"))
    with serving(hub.handler()) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield hub


HUB = Source("hub", "owner/small")


def test_hub_model_is_planned_downloaded_survives_the_app_and_generates(
    lab: LabContext, small_hub: SmallHub, tmp_path: Path
) -> None:
    plan = models.check_source(lab, HUB)
    assert plan.source == replace(HUB, revision=SHA)
    assert (plan.facts[0], plan.facts[2:]) == ("5 files", (f"revision {SHA[:10]}", "licence mit"))
    with pytest.raises(ModelError, match="download it first"):
        models.add(lab, "small", HUB)
    download = models.start_download(lab, "small", HUB)
    assert models.start_download(lab, "small", HUB).id == download.id
    assert models.show(lab, "small").status == "downloading"
    assert [(item.name, item.status) for item in models.downloads(lab)] == [("small", "queued")]
    with pytest.raises(ModelError, match="small is downloading"):
        models.load(lab, "small")
    lab.close()
    again = open_lab(tmp_path)
    assert until_ended(again, download.id).status == "finished"
    view = models.show(again, "small")
    assert view.status == "ready"
    assert view.card.source.revision == SHA
    assert view.card.content_hash is not None
    assert models.downloads(again) == []
    generation.generate(again, "small", Prompt(text="ab"), Sampling(greedy=True, max_new_tokens=2))
    again.close()


def test_cancelled_download_goes_on_under_the_same_name_and_can_be_removed_with_its_files(
    lab: LabContext, small_hub: SmallHub
) -> None:
    small_hub.bytes_per_second = 5_000
    download = models.start_download(lab, "small", HUB)
    original = stand_in(lab)
    assert original is not None
    until(lambda: models.downloads(lab)[0].done_bytes)
    models.cancel_download(lab, download.id)
    until_ended(lab, download.id)
    original.stop()
    assert list(lab.config.hub_cache.rglob("*.part"))
    view = models.show(lab, "small")
    assert view.status == "failed"
    assert "cancelled" in view.detail
    with pytest.raises(DuplicateName):
        models.start_download(lab, "starter-causal", HUB)
    small_hub.bytes_per_second = None
    again = models.start_download(lab, "small", view.card.source)
    assert again.id == download.id
    until_ended(lab, again.id)
    folder = models.show(lab, "small").card.path
    assert folder is not None
    assert not list(lab.config.hub_cache.rglob("*.part"))
    models.remove(lab, "small")
    assert not folder.exists()


def test_what_was_fetched_of_a_model_goes_with_it(lab: LabContext, small_hub: SmallHub) -> None:
    small_hub.spoil = True
    download = models.start_download(lab, "small", HUB)
    assert "arrived damaged" in str(until_ended(lab, download.id).error)
    assert [(item.status, item.error) for item in models.downloads(lab)] == [
        ("failed", models.show(lab, "small").detail)
    ]
    models.remove(lab, "small")
    assert models.downloads(lab) == []
    assert not list(lab.config.hub_cache.rglob("*.partial"))


def test_command_line_downloads_and_waits(lab: LabContext, small_hub: SmallHub) -> None:
    messages: list[str] = []
    models.download(lab, HUB, progress=messages.append)
    assert "owner/small at 0123456789" in messages[0]
    assert models.add(lab, "small", HUB).status == "ready"
    assert models.downloads(lab) == []


def test_a_large_model_is_hashed_beside_other_work_and_before_it_is_used(
    lab: LabContext, local: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = models.add(lab, "known", local).card.content_hash
    monkeypatch.setattr("genai_lab.models.inspect.AT_ONCE", 0)
    go = threading.Event()
    original = hashing._hash_all
    monkeypatch.setattr(hashing, "_hash_all", lambda lab, cards: (go.wait(60), original(lab, cards)))
    assert models.add(lab, "large", local).card.content_hash is None
    go.set()
    until(lambda: models.show(lab, "large").card.content_hash == expected)
    monkeypatch.setattr(hashing, "_hash_all", lambda lab, cards: None)
    models.add(lab, "used", local)
    models.load(lab, "used")
    assert models.show(lab, "used").card.content_hash == expected
