"""Texts as vectors: what a sentence-transformers folder says, the values of transformers, the budget, the store."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genai_lab as gl
from genai_lab import cli
from genai_lab.context import LabContext
from genai_lab.errors import LabError, ModelError
from genai_lab.models import Card, Options, Source
from genai_lab.models.embedder import Embedder, cosines
from genai_lab.models.inspect import inspect_folder
from genai_lab.models.pooling import Pooling, read_pooling
from genai_lab.models.starter import WEIGHTS
from genai_lab.services import embedding, models, vector_store
from tests.fake_lab import fake_lab as fake_lab
from tests.tiny import open_lab

TEXTS = ["A man is eating food.", "short", "A woman plays the violin while it rains outside.", "short", ""]
MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
]
MEAN = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}


def small_bert(folder: Path, modules: Any = MODULES, pooling: dict[str, Any] | None = None) -> Path:
    """A random BERT of 30,000 parameters without a head, with the files of sentence-transformers."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(3)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz.", *(f"##{c}" for c in "abcdefghijklmn")]
    words += [f"##{c}" for c in "opqrstuvwxyz."]
    raw = Tokenizer(models.WordPiece({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    raw.normalizer, raw.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    raw.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    config = BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=raw, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    if modules is not None:
        (folder / "modules.json").write_text(json.dumps(modules))
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling or MEAN))
        (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 16, "do_lower_case": False}))
    return folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_bert(tmp_path_factory.mktemp("folders") / "bert")


@pytest.fixture
def lab(tmp_path: Path, bert: Path) -> Iterator[LabContext]:
    lab = open_lab(tmp_path / "home", bert=bert)
    yield lab
    lab.close()


def card_of(folder: Path) -> Card:
    return inspect_folder(folder, "bert", Source("local", str(folder)), Options(device="cpu"))


def plain_vectors(folder: Path, texts: list[str], mode: str, longest: int) -> Any:
    """The same by transformers alone, one text at a time."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, module = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    rows = []
    for text in texts:
        with torch.inference_mode():
            coded = tokenizer(text, return_tensors="pt", truncation=True, max_length=longest)
            states = module(**coded).last_hidden_state[0]
        vector = {"mean": states.mean(0), "cls": states[0], "max": states.max(0).values, "last": states[-1]}[mode]
        rows.append((vector / vector.norm()).numpy())
    return np.stack(rows)


@pytest.mark.parametrize(("key", "mode"), [("mean_tokens", "mean"), ("cls_token", "cls"), ("max_tokens", "max")])
def test_vectors_are_those_of_transformers(bert: Path, tmp_path: Path, key: str, mode: str) -> None:
    folder = Path(shutil.copytree(bert, tmp_path / mode))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{key}": True}))
    embedder = Embedder(card_of(folder))
    vectors = embedder.embed(TEXTS)
    assert np.allclose(vectors, plain_vectors(folder, TEXTS, mode, 16), atol=1e-5)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert np.array_equal(vectors[1], vectors[3])
    assert embedder.vector_signature == f"{mode}, normalised, 16 tokens"


def test_a_folder_says_what_it_is(bert: Path, tmp_path: Path) -> None:
    card = card_of(bert)
    assert (card.role, card.family, card.architecture, card.modes) == ("embed", "encoder", "BertModel", ())
    plain = small_bert(tmp_path / "plain", modules=None)
    assert read_pooling(plain) == Pooling("mean", True, None)
    assert card_of(plain).role == "embed"
    folder = Path(shutil.copytree(bert, tmp_path / "changed"))
    prompts = {"prompts": {"query": "query: "}, "default_prompt_name": "query"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    (folder / "modules.json").write_text(json.dumps(MODULES[:2]))
    pooling = read_pooling(folder)
    assert (pooling.normalise, pooling.prompt) == (False, "query: ")
    assert pooling.signature == "mean, as it is, 16 tokens, after 'query: '"
    assert card_of(folder).content_hash != card.content_hash  # its files decide the vectors


@pytest.mark.parametrize(
    ("modules", "pooling", "sentence"),
    [
        ([*MODULES, {"path": "3_Dense", "type": "sentence_transformers.models.Dense"}], MEAN, "a part 'Dense'"),
        (MODULES, {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, "pools by cls, mean"),
        (MODULES, {"pooling_mode_weightedmean_tokens": True}, "pools by pooling_mode_weightedmean_tokens"),
        ([MODULES[0], {"path": "../..", "type": "x.Pooling"}], MEAN, "a place outside the folder"),
        ({"a": 1}, MEAN, "not a list of parts"),
    ],
)
def test_what_the_lab_does_not_compute_is_refused_when_it_is_added(
    bert: Path, tmp_path: Path, modules: Any, pooling: dict[str, Any], sentence: str
) -> None:
    folder = Path(shutil.copytree(bert, tmp_path / "other"))
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    with pytest.raises(ModelError, match=sentence):
        card_of(folder)


def test_vectors_are_computed_once_by_text_and_hash(lab: LabContext, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[list[str]] = []
    plain = Embedder.embed
    monkeypatch.setattr(Embedder, "embed", lambda self, texts: (computed.append(list(texts)), plain(self, texts))[1])
    first = embedding.embed(lab, TEXTS, "bert")
    assert computed == [[TEXTS[0], "short", TEXTS[2], ""]]
    assert first.signature.startswith("model:bert|hash:")
    again = embedding.embed(lab, ["new", *TEXTS], "bert")
    assert computed[1:] == [["new"]]
    assert np.array_equal(again.vectors[1:], first.vectors)
    models.unload(lab, "bert")
    assert np.array_equal(embedding.Embedder(lab, "bert").embed(TEXTS), first.vectors)
    assert "bert" not in lab.models.loaded()  # nothing had to be computed
    store = vector_store.VectorStore(lab.config.home, "another hash")
    assert store.find(TEXTS) == {}
    (lab.config.home / vector_store.FILE).write_bytes(b"no database at all" * 100)
    assert np.array_equal(embedding.embed(lab, TEXTS, "bert").vectors, first.vectors)


def test_the_oldest_vectors_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_store, "MOST_ROWS", 8)
    store = vector_store.VectorStore(tmp_path, "hash")
    vectors = {str(number): np.full(2, number, np.float32) for number in range(10)}
    store.add(vectors)
    assert sorted(store.find(list(vectors))) == ["4", "5", "6", "7", "8", "9"]


def test_embedders_share_the_budget_and_say_what_they_cannot(lab: LabContext) -> None:
    embedding.embed(lab, ["a"], "bert")
    state = lab.models.loaded()["bert"]
    assert lab.models.used_bytes == state.memory_bytes > 0
    assert embedding.names(lab) == ["bert"]
    assert [view.card.name for view in models.catalogue(lab, role="embed")] == ["bert"]
    with pytest.raises(ModelError, match="bert embeds texts and cannot generate"):
        models.load(lab, "bert")
    with (
        lab.models.scoring(models.show(lab, "bert").card) as scorer,
        pytest.raises(ModelError, match="not a classifier"),
    ):
        scorer.scores(["a"])
    with pytest.raises(LabError, match="starter-causal is not an encoder, so it gives no vectors; choose one: bert"):
        embedding.embed(lab, ["a"], "starter-causal")
    assert embedding.embed(lab, [], "bert").vectors.shape == (0, 32)


@pytest.mark.skipif(not (WEIGHTS / "starter-toxicity").is_dir(), reason="the starter's weights are not here")
def test_a_classifier_embeds_by_the_mean_of_its_tokens(lab: LabContext) -> None:
    vectors = embedding.embed(lab, TEXTS[:3], "starter-toxicity").vectors
    expected = plain_vectors(WEIGHTS / "starter-toxicity", TEXTS[:3], "mean", 128)
    assert np.allclose(vectors, expected, atol=1e-5)
    assert list(lab.models.loaded()) == ["starter-toxicity"]


def test_the_fake_embedder_finds_texts_that_share_words(fake_lab: LabContext) -> None:
    vectors = embedding.embed(fake_lab, ["the red dog", "a red dog", "rain fell"], "fake-embedder").vectors
    near = cosines(vectors[[0, 0]], vectors[1:])
    assert near[0] == pytest.approx(2 / 3, abs=1e-6)
    assert near[1] < 0.5
    assert embedding.default_name(fake_lab) == "fake-embedder"


def test_without_an_embedder_the_sentence_says_what_to_add(tmp_path: Path) -> None:
    lab = open_lab(tmp_path / "home")
    with pytest.raises(LabError, match="no embedder in the catalogue; get all-MiniLM-L6-v2 from the shelf"):
        embedding.embed(lab, ["a"])
    lab.close()


def minilm() -> Path | None:
    """The folder of all-MiniLM-L6-v2 that GENAI_LAB_TEST_MINILM names."""
    folder = Path(os.environ.get("GENAI_LAB_TEST_MINILM", ""))
    return folder if (folder / "modules.json").is_file() else None


@pytest.mark.skipif(minilm() is None, reason="all-MiniLM-L6-v2 is not here; GENAI_LAB_TEST_MINILM names its folder")
def test_minilm_gives_its_published_vectors() -> None:
    folder = minilm()
    assert folder is not None
    pairs = [
        ("That is a happy person", "That is a very happy person"),
        ("That is a happy person", "That is a happy dog"),
        ("That is a happy person", "Today is a sunny day"),
    ]
    embedder = Embedder(card_of(folder))
    assert embedder.pooling == Pooling("mean", True, 256)
    first, second = ([pair[side] for pair in pairs] for side in (0, 1))
    near = cosines(embedder.embed(first), embedder.embed(second))
    plain = [plain_vectors(folder, texts, "mean", 256) for texts in (first, second)]
    assert near == pytest.approx(cosines(*plain), abs=1e-5)
    # As the model's page shows for these sentences.
    assert near == pytest.approx([0.9429, 0.6945, 0.2568], abs=2e-3)


def test_the_command_and_the_api_embed_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, out = tmp_path / "home", tmp_path / "vectors.npy"
    monkeypatch.setenv("GENAI_LAB_HOME", str(home))
    with gl.open(home) as lab:
        vectors = lab.embed(["a red dog", "a red cat"], "fake-embedder").vectors
        assert np.array_equal(lab.embed("a red dog", lab.models.get("fake-embedder")).vectors, vectors[:1])
    texts = ["--text", "a red dog", "--text", "a red cat"]
    assert cli.main(["embed", "--model", "fake-embedder", *texts, "--out", str(out), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert np.allclose(printed["vectors"], vectors)
    assert np.array_equal(np.load(out), vectors)
    assert printed["cosines"] == pytest.approx([1.0, 2 / 3])
    assert cli.main(["embed", "--model", "fake-embedder", *texts, "--out", "vectors.txt"]) == 2
    assert "must end in .npy" in capsys.readouterr().err
