"""The Hub path from end to end, against a small Hub of the tests' own."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from genai_lab.errors import ModelError
from genai_lab.models import BACKENDS, Card, Options, Source, download, hub
from tests.models.folders import small_llama, tensors
from tests.models.servers import SHA, SmallHub, serving

SOURCE = Source("hub", "owner/small")


@pytest.fixture
def small_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallHub]:
    hub = SmallHub(small_llama(tmp_path / "served"))
    # A tensor that the model does not use makes the download long enough to be interrupted.
    weights = tensors() | {"extra": np.arange(100_000, dtype=np.float32)}
    save_file(weights, hub.folder / "model.safetensors", metadata={"format": "pt"})
    with serving(hub.handler()) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield hub


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(device="cpu", cache=tmp_path / "cache", timeout=5)


def fetch(options: Options, stop_at: int | None = None) -> Card:
    """Downloads in this process; with `stop_at` it breaks off after that many bytes, as a killed one does."""

    def told(completion: int, name: str) -> None:
        if stop_at is not None and completion >= stop_at:
            raise KeyboardInterrupt

    return download.fetch(download.plan("small", SOURCE, options), options, told)


def fetched(small_hub: SmallHub) -> list[str | None]:
    """The Range of every request for the weights."""
    return [expected for path, expected in small_hub.asked if path.endswith("model.safetensors")]


def test_plan_tells_size_commit_and_licence_and_fetches_no_weights(small_hub: SmallHub, options: Options) -> None:
    result = hub.describe("owner/small", None, None, 5)
    names = {file.name for file in result.files}
    assert names == {"README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert result.bytes == sum((small_hub.folder / name).stat().st_size for name in names)
    assert (result.revision, result.licence, result.gated) == (SHA, "mit", False)
    assert fetched(small_hub) == []
    card = BACKENDS.get("hub").inspect(SOURCE, "small", options)
    assert (card.source.revision, card.path, card.family) == (SHA, None, "decoder-only")


def test_download_goes_on_where_a_killed_one_stopped(
    small_hub: SmallHub, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "REPORT_EVERY", 0.0)
    small_hub.bytes_per_second = 1_000_000
    with pytest.raises(KeyboardInterrupt):
        fetch(options, stop_at=100_000)
    order = download.plan("small", SOURCE, options)
    assert 100_000 <= download.present(order) < order.bytes
    small_hub.bytes_per_second = None
    result = fetch(options)
    first, second = fetched(small_hub)
    assert first is None
    assert int((second or "0").strip("bytes=-")) > 90_000
    card = BACKENDS.get("hub").inspect(Source("hub", "owner/small", revision=SHA), "small", options)
    assert card.path is not None
    assert card.path == result.path
    assert (card.path / "model.safetensors").read_bytes() == (small_hub.folder / "model.safetensors").read_bytes()
    assert not list(card.path.parent.glob("*.partial"))
    assert not (card.path.parent.parent / "escape.json").exists()


def test_an_order_outlives_its_process_as_json(small_hub: SmallHub, options: Options) -> None:
    order = download.plan("small", SOURCE, options)
    assert download.DownloadPlan.from_dict(json.loads(json.dumps(order.as_dict()))) == order


def test_what_has_been_fetched_can_be_thrown_away(small_hub: SmallHub, options: Options) -> None:
    with pytest.raises(KeyboardInterrupt):
        fetch(options, stop_at=0)
    order = download.plan("small", SOURCE, options)
    download.discard(order.target)
    assert download.present(order) == 0


def test_broken_connections_are_mended_without_a_word(small_hub: SmallHub, options: Options) -> None:
    small_hub.break_after = 200_000
    assert fetch(options).path is not None
    assert len(fetched(small_hub)) == 3


def test_damaged_file_is_noticed_and_thrown_away(small_hub: SmallHub, options: Options, tmp_path: Path) -> None:
    small_hub.spoil = True
    with pytest.raises(ModelError, match="arrived damaged"):
        fetch(options)
    assert not list((options.cache or tmp_path).rglob("*.part"))


def test_gated_model_names_the_variable_and_opens_with_its_token(
    small_hub: SmallHub, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_hub.gated, small_hub.token = True, "hf_right"
    monkeypatch.setenv("LAB_WRONG_TOKEN", "hf_wrong")
    monkeypatch.setenv("LAB_RIGHT_TOKEN", "hf_right")
    for name, message in ((None, "environment variable such as HF_TOKEN"), ("LAB_WRONG_TOKEN", "has no access yet")):
        with pytest.raises(ModelError, match=message) as caught:
            hub.describe("owner/small", None, name, 5)
        assert "hf_wrong" not in str(caught.value)
    assert hub.describe("owner/small", None, "LAB_RIGHT_TOKEN", 5).gated


@pytest.mark.parametrize(
    ("repo", "revision", "key", "message"),
    [
        ("owner/nothing", None, None, "no model called"),
        ("owner/small", "elsewhere", None, "no revision 'elsewhere'"),
        ("owner/small", "../..", None, "is not a revision"),
        ("owner/../../x", None, None, "is not a Hub id"),
        ("https://hub/owner/small", None, None, "is not a Hub id"),
        ("owner/small", None, "LAB_UNSET_TOKEN", "is not set"),
        ("owner/small", None, "PATH", "cannot name a key variable"),
    ],
)
def test_bad_hub_input_gives_one_clear_sentence(
    small_hub: SmallHub, repo: str, revision: str | None, key: str | None, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        hub.describe(repo, revision, key, 5)


def test_pickled_weights_and_foreign_code_are_refused_before_the_download(small_hub: SmallHub) -> None:
    own_result = small_llama(small_hub.folder, architectures=["MineForCausalLM"], auto_map={"AutoModel": "mine.Mine"})
    with pytest.raises(ModelError, match="trust_remote_code"):
        hub.describe("owner/small", None, None, 5)
    (own_result / "model.safetensors").rename(own_result / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickle"):
        hub.describe("owner/small", None, None, 5)
    (own_result / "pytorch_model.bin").unlink()
    with pytest.raises(ModelError, match="no safetensors weights"):
        hub.describe("owner/small", None, None, 5)


def test_no_network_and_no_space_are_said_plainly(
    small_hub: SmallHub, options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = type("Usage", (), {"free": 1000})
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda index: free)
        with pytest.raises(ModelError, match=r"only 1\.0 kB are free"):
            download.plan("small", SOURCE, options)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="cannot be reached; check the network"):
        hub.describe("owner/small", None, None, 5)


def test_the_parts_of_a_sentence_model_come_with_it(small_hub: SmallHub, options: Options, tmp_path: Path) -> None:
    for name in ("modules.json", "sentence_bert_config.json", "1_Pooling/config.json", "other/config.json"):
        (small_hub.folder / name).parent.mkdir(exist_ok=True)
        (small_hub.folder / name).write_text("{}")
    names = {file.name for file in hub.describe("owner/small", None, None, 5).files}
    assert {"modules.json", "sentence_bert_config.json", "1_Pooling/config.json"} <= names
    assert "other/config.json" not in names
    order = replace(download.plan("small", SOURCE, options), target=tmp_path / "cache" / "sentences")
    with pytest.raises(ModelError, match="embeds texts with a model that is decoder-only"):
        download.fetch(order, options, lambda done, name: None)  # fetched whole, then looked at
    assert (tmp_path / "cache" / "sentences.partial" / "1_Pooling" / "config.json").read_text() == "{}"
