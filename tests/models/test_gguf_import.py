"""GGUF files as folders: the same logits, tokens and ends of text as those of the models that they were made from."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

from genai_lab.errors import ModelError
from genai_lab.models import Options, Source
from genai_lab.models.gguf_header import read_header
from genai_lab.models.gguf_import import about_copy, import_gguf
from genai_lab.models.gguf_tokenizer import NASTY
from genai_lab.models.inspect import inspect_folder
from tests.models.gguf_files import write_gguf
from tests.tiny import random_model

TEXT = "Once upon a time there was a small model."
# How far logits may lie apart, as a share of the largest: none in float32, else the type's own error.
APART = {"F32": 1e-6, "F16": 2e-3, "Q8_0": 0.03, "Q4_0": 0.4}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_model(tmp_path_factory.mktemp("original") / "tiny", chat=True)


def imported(folder: Path, home: Path, **details: Any) -> Path:
    header = read_header(write_gguf(folder, home / "file.gguf", **details))
    import_gguf(header, home / "copy", about_copy(header, "file.gguf"), lambda *_: None)
    return home / "copy"


def logits(folder: Path, ids: torch.Tensor) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        result: torch.Tensor = model(ids).logits
    return result


def gap(first: Path, second: Path) -> float:
    """The largest difference of their logits as a share of the largest logit."""
    ids = torch.arange(3, 60).unsqueeze(0)
    expected, other = logits(first, ids), logits(second, ids)
    return float((expected - other).abs().max() / expected.abs().max())


@pytest.mark.parametrize("kind", APART)
def test_the_copy_computes_what_the_original_does_within_the_error_of_its_type(
    original: Path, kind: str, tmp_path: Path
) -> None:
    copy = imported(original, tmp_path, kind=kind)
    assert gap(original, copy) <= APART[kind]
    assert "quantization_config" not in json.loads((copy / "config.json").read_text())
    card = inspect_folder(copy, "tiny", Source("local", str(copy)), Options())
    assert card.dtype == {"F32": "float32", "F16": "float16"}.get(kind, "bfloat16")
    assert card.chat
    assert card.licence == "apache-2.0"
    assert kind in card.about


def test_a_family_whose_rows_are_not_permuted_is_imported_too(tmp_path: Path) -> None:
    """Qwen3: norms on queries and keys, heads whose width does not follow from the model's."""
    tokenizer = AutoTokenizer.from_pretrained(random_model(tmp_path / "tiny"))
    torch.manual_seed(1)
    config = Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, max_position_embeddings=256, eos_token_id=0, tie_word_embeddings=True,
    )  # fmt: skip
    Qwen3ForCausalLM(config).save_pretrained(tmp_path / "qwen")
    tokenizer.save_pretrained(tmp_path / "qwen")
    assert gap(tmp_path / "qwen", imported(tmp_path / "qwen", tmp_path, architecture="qwen3", pre="qwen2")) < 1e-6


def test_tokens_template_and_ends_are_the_files_own(original: Path, tmp_path: Path) -> None:
    copy = imported(original, tmp_path)
    first, second = AutoTokenizer.from_pretrained(original), AutoTokenizer.from_pretrained(copy)
    for text in (TEXT, *NASTY):
        assert first(text)["input_ids"] == second(text)["input_ids"]
    assert first.chat_template == second.chat_template
    assert (second.eos_token, second.pad_token) == ("</s>", "</s>")
    generation = json.loads((copy / "generation_config.json").read_text())
    assert generation["eos_token_id"] == first.eos_token_id
    assert generation["pad_token_id"] == first.pad_token_id


def test_a_beginning_token_is_added_where_the_file_asks_for_it(original: Path, tmp_path: Path) -> None:
    copy = imported(original, tmp_path, tokenizer__ggml__add_bos_token=True, add_bos=None)
    tokenizer = AutoTokenizer.from_pretrained(copy)
    assert tokenizer(TEXT)["input_ids"][0] == tokenizer.bos_token_id


def test_digits_are_split_where_the_file_says_so(original: Path, tmp_path: Path) -> None:
    copy = imported(original, tmp_path, pre="smollm")
    backend = json.loads((copy / "tokenizer.json").read_text())
    kinds = [part["type"] for part in backend["pre_tokenizer"]["pretokenizers"]]
    assert kinds == ["Digits", "ByteLevel"]


@pytest.mark.parametrize(
    ("details", "message"),
    [
        ({"architecture": "mamba"}, "these can be imported: gpt2, llama"),
        ({"pre": "of-my-own"}, "splits text into words in a way"),
        ({"split__count": 3}, "one of 3 parts"),
        ({"llama__rope__scaling__type": "yarn"}, "stretches its positions"),
        ({"inner": None, "llama__feed_forward_length": 96}, "metadata ask for|another shape"),
        ({"layers": None, "llama__block_count": 3}, "is missing the weights"),
        ({"layers": None, "llama__block_count": 1}, "which no llama has"),
        ({"heads": None, "llama__attention__head_count": 0}, "no model that can be built|metadata ask for"),
        ({"merges": None}, "no tokenizer that can be read|is not the file's"),
        ({"tokens": None}, "no tokenizer that can be read|is not the file's"),
    ],
)
def test_what_cannot_be_imported_is_refused_in_one_sentence_and_leaves_nothing(
    original: Path, details: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=message) as problem:
        imported(original, tmp_path, **details)
    assert "\n" not in str(problem.value)
    assert [path.name for path in tmp_path.iterdir()] == ["file.gguf"]


def test_an_unsupported_quantisation_names_those_that_are(original: Path, tmp_path: Path) -> None:
    path = write_gguf(original, tmp_path / "file.gguf", "F32")
    header = read_header(path)
    renamed = tuple(
        type(tensor)(tensor.name, tensor.shape, "NVFP4", tensor.offset, tensor.bytes) for tensor in header.tensors
    )
    with pytest.raises(ModelError, match="NVFP4; these types can be imported: F32, F16"):
        import_gguf(type(header)(path, header.size, header.metadata, renamed), tmp_path / "copy", "", lambda *_: None)
