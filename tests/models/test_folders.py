"""Local folders and starters: what their cards say, and one clear sentence for everything that is wrong."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.numpy import save_file

from genai_lab.decoding import Sampling
from genai_lab.errors import LabError, ModelError
from genai_lab.models import BACKENDS, Options, Prompt, Request, Source
from genai_lab.models.checks import parse_object
from genai_lab.models.folders import model_folders
from genai_lab.models.inspect import classify, known_classes
from genai_lab.models.sizing import cached_numbers
from genai_lab.models.starter import WEIGHTS
from tests.models.folders import SIZE, STORIES, config, edit, inspect, small_llama, tensors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small_llama(tmp_path / "small")


@pytest.mark.parametrize("name", ["starter", "local", "hub", "adapter", "endpoint"])
def test_every_backend_is_registered_under_its_name_and_refuses_nonsense_in_one_sentence(
    name: str, tmp_path: Path
) -> None:
    backend = BACKENDS.get(name)
    assert backend.name == name
    assert backend.title
    for nonsense in ("", "no such thing", "\0", "../../etc", "x" * 5000, "http://", "ftp://a/b"):
        with pytest.raises(ModelError) as caught:
            backend.inspect(Source(name, nonsense), "model", Options(roots=(tmp_path,), cache=tmp_path))
        assert str(caught.value).endswith(".")
        assert "\n" not in str(caught.value)


def test_a_parent_folder_is_answered_with_the_models_below_it(folder: Path) -> None:
    second = small_llama(folder.parent / "deeper" / "second")
    (folder.parent / "deeper" / ".hidden").mkdir()
    with pytest.raises(ModelError, match=r"has no config\.json, but .* below it: small, deeper/second\."):
        inspect(folder.parent)
    (folder.parent / "bare").mkdir()
    with pytest.raises(ModelError, match=r"has no config\.json; it is not a complete model folder"):
        inspect(folder.parent / "bare", roots=(folder.parent,))
    assert model_folders([folder.parent], "config.json") == [folder, second]
    assert model_folders([folder.parent], "adapter_config.json") == []


def test_card_tells_everything_without_torch(folder: Path) -> None:
    card = inspect(folder)
    count = sum(value.size for value in tensors().values())
    assert (card.family, card.architecture, card.role) == ("decoder-only", "LlamaForCausalLM", "generate")
    assert (card.parameters, card.dtype, card.context) == (count, "float32", 64)
    assert card.cache_bytes == 4 * 2 * 64 * SIZE, "keys and values of 64 tokens"
    assert card.loaded_dtype == "float32"
    remainder = (card.memory_bytes or 0) - card.cache_bytes - 8 * count
    assert 0 < remainder < 60e6, "weights, the packed copy that a small model's step reads, code and tokenizer"
    assert card.disk_bytes == sum(path.stat().st_size for path in folder.iterdir())
    assert (card.licence, card.about, card.chat) == ("cc-by-4.0", "A random model for tests.", False)


def test_memory_follows_the_dtype(folder: Path) -> None:
    small, large = inspect(folder, dtype="bfloat16"), inspect(folder)
    assert (small.dtype, small.loaded_dtype) == ("float32", "bfloat16")
    assert 2 * (small.cache_bytes or 0) == large.cache_bytes
    assert (small.memory_bytes or 0) < (large.memory_bytes or 0)


def test_a_context_without_end_does_not_fill_the_memory_before_it_is_used(tmp_path: Path) -> None:
    card = inspect(small_llama(tmp_path / "long", max_position_embeddings=10**6))
    assert card.cache_bytes == 4 * 2 * 8192 * SIZE


def test_seq2seq_keeps_the_encoders_keys_beside_its_own() -> None:
    t5 = {
        "num_layers": 6,
        "num_decoder_layers": 2,
        "num_heads": 4,
        "d_kv": 8,
        "d_model": 64,
        "is_encoder_decoder": True,
    }
    assert cached_numbers(t5, 100) == 2 * 2 * 2 * 4 * 8 * 100
    grouped = {"num_hidden_layers": 3, "num_attention_heads": 8, "num_key_value_heads": 2, "hidden_size": 64}
    assert cached_numbers(grouped, 100) == 2 * 3 * 2 * 8 * 100


def test_half_a_character_in_json_becomes_one_that_can_be_stored() -> None:
    result = parse_object(rb'{"half": "a\ud83d", "both": "\ud83d\ude00", "\udc00": 1.5}', "It")
    assert result == {"half": "a\ufffd", "both": "\U0001f600", "\ufffd": 1.5}


def test_a_checkpoint_that_lacks_weights_is_refused(folder: Path) -> None:
    stored = {name: value for name, value in tensors().items() if "up_proj" not in name}
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    card = inspect(folder)
    with pytest.raises(ModelError, match=r"its weights do not include model.layers.0.mlp.up_proj.weight, so the files"):
        BACKENDS.get("local").load(card, Options(device="cpu", roots=(folder.parent,)))


def test_content_hash_follows_content_and_neither_place_nor_readme(folder: Path, tmp_path: Path) -> None:
    first = inspect(folder).content_hash
    (folder / "README.md").write_text("# Another text")
    assert inspect(folder).content_hash == first
    assert inspect(small_llama(tmp_path / "again")).content_hash == first
    assert inspect(small_llama(tmp_path / "other", seed=1)).content_hash != first
    edit(folder / "config.json", rope_theta=5.0)
    assert inspect(folder).content_hash != first


def test_shards_count_as_one_model(tmp_path: Path) -> None:
    full, parts = inspect(small_llama(tmp_path / "one")), inspect(small_llama(tmp_path / "two", shards=3))
    assert parts.parameters == full.parameters


def test_chat_template_makes_a_chat_model(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    assert inspect(folder).modes == ("chat", "completion")


def test_a_chat_template_without_bounds_is_refused_when_its_model_is_added(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{% for i in range(99999) %}{{ 'abcdefghij ' * 1000 }}{% endfor %}")
    with pytest.raises(ModelError, match=r"writes more than 1,000,000 characters for a message of one word; repair it"):
        inspect(folder)


@pytest.mark.parametrize(
    ("template", "modes", "about"),
    [
        ("{% if %}", ("completion",), "Completion only: its chat template cannot be read at line 1"),
        ("{{ raise_exception('A system message is needed') }}", ("chat", "completion"), ""),
        ("", ("completion",), ""),
    ],
)
def test_a_chat_template_that_cannot_be_read_leaves_completion(
    template: str, modes: tuple[str, ...], about: str, folder: Path
) -> None:
    (folder / "chat_template.jinja").write_text(template)
    card = inspect(folder)
    assert card.modes == modes
    assert card.about.startswith(about)


def test_a_starter_and_what_is_made_of_it_complete_by_default(folder: Path) -> None:
    starter = BACKENDS.get("starter").inspect(Source("starter", "starter-causal"), "starter-causal", Options())
    shutil.copy(WEIGHTS / "starter-causal" / "chat_template.jinja", folder)
    assert starter.modes == inspect(folder).modes == ("completion", "chat")


@pytest.mark.parametrize(
    ("architecture", "family"),
    [
        ("GPT2LMHeadModel", "decoder-only"),
        ("Qwen3ForCausalLM", "decoder-only"),
        ("T5ForConditionalGeneration", "encoder-decoder"),
        ("BartForConditionalGeneration", "encoder-decoder"),
        ("RobertaForSequenceClassification", "classifier"),
    ],
)
def test_families_are_those_of_transformers(architecture: str, family: str) -> None:
    assert classify({"architectures": [architecture]}, "here")[0] == family
    assert len(known_classes()[0]) > 200


def test_code_of_its_own_does_not_matter_where_transformers_has_the_class() -> None:
    settings = {"AutoModelForCausalLM": "modeling.Mine"}
    assert classify({"architectures": ["Phi3ForCausalLM"], "auto_map": settings}, "here")[0] == "decoder-only"


def pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def own_code(folder: Path) -> None:
    edit(folder / "config.json", architectures=["MineForCausalLM"], auto_map={"AutoModelForCausalLM": "mine.Mine"})


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def cut_off(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def header_cut_off(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:40])


def lying_header(folder: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4000]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 4000)


def endless_header(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\xff" * 64)


def unfinished(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model.safetensors.incomplete")


def lost_shard(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    next(iter(sorted(small_llama(folder, shards=3).glob("model-*")))).unlink()


def shard_elsewhere(folder: Path) -> None:
    table = {"weight_map": {"a": "../../secret.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(table))


def link_out(folder: Path) -> None:
    outside = folder.parents[1] / "outside.json"
    outside.write_text(json.dumps(config()))
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to(outside)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "pickle only": (pickle_only, "pickle"),
    "own code": (own_code, "trust_remote_code"),
    "no tokenizer": (no_tokenizer, "has no tokenizer"),
    "cut off": (cut_off, "damaged"),
    "header cut off": (header_cut_off, "header is cut off"),
    "lying header": (lying_header, "does not lie where"),
    "endless header": (endless_header, "header is cut off"),
    "unfinished": (unfinished, "finish the download"),
    "lost shard": (lost_shard, "is missing"),
    "shard elsewhere": (shard_elsewhere, "not a safetensors file of this folder"),
    "link out": (link_out, "outside the allowed folders"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "not a complete model folder"),
    "no config": (lambda f: (f / "config.json").unlink(), "no config.json"),
    "config is text": (lambda f: (f / "config.json").write_text("{"), "not valid JSON"),
    "config is a list": (lambda f: (f / "config.json").write_text("[]"), "an object is needed"),
    "config is deep": (lambda f: (f / "config.json").write_text("[" * 100_000), "not valid JSON"),
    "config is binary": (lambda f: (f / "config.json").write_bytes(b"\xff\xfe\x00"), "not UTF-8"),
    "tokenizer is empty": (lambda f: (f / "tokenizer.json").write_text("{}"), "describes no tokenizer"),
    "pictures": (lambda f: edit(f / "config.json", architectures=["ViTForImageClassification"]), "not a text model"),
    "reads pictures too": (lambda f: edit(f / "config.json", vision_config={"a": 1}), "not a text model"),
    "labels words": (
        lambda f: edit(f / "config.json", architectures=["RobertaForTokenClassification"]),
        "not a text model",
    ),
    "unknown kind": (lambda f: edit(f / "config.json", architectures=[], model_type="new"), "not a text model"),
    "quantised": (lambda f: edit(f / "config.json", quantization_config={"quant_method": "gptq"}), "gptq"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_folder_gives_one_clear_sentence(case: str, tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    folder = small_llama(allowed / "small")
    spoil, message = BAD[case]
    spoil(folder)
    with pytest.raises(ModelError, match=message) as caught:
        inspect(folder, roots=(allowed,))
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_unfinished_hub_snapshot_is_recognised(tmp_path: Path) -> None:
    folder = small_llama(tmp_path / "models--a--b" / "snapshots" / "0123")
    (folder / "model.safetensors").unlink()
    (tmp_path / "models--a--b" / "blobs").mkdir()
    (tmp_path / "models--a--b" / "blobs" / "0f.incomplete").write_bytes(b"x")
    with pytest.raises(ModelError, match="finish the download"):
        inspect(folder)


def test_folder_must_lie_in_an_allowed_place_whatever_links_and_dots_say(tmp_path: Path) -> None:
    outside, allowed = small_llama(tmp_path / "outside"), tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "link").symlink_to(outside)
    for path in (outside, allowed / "link", allowed / ".." / "outside"):
        with pytest.raises(ModelError, match="lies outside"):
            inspect(path, roots=(allowed,))
    (tmp_path / "other").symlink_to(allowed)
    small_llama(allowed / "inside")
    assert inspect(tmp_path / "other" / "inside", roots=(allowed,)).family == "decoder-only"


def test_folder_damaged_after_it_was_added_is_refused_when_loaded(folder: Path) -> None:
    card = inspect(folder)
    cut_off(folder)
    with pytest.raises(ModelError, match="damaged"):
        BACKENDS.get("local").load(card, Options(device="cpu", roots=(folder.parent,)))


def test_published_model_continues_a_story() -> None:
    if not STORIES.is_dir():
        pytest.skip("the published model stories260K is not there")
    options = Options(device="cpu", roots=(STORIES.parent,))
    card = BACKENDS.get("local").inspect(Source("local", str(STORIES)), "stories", options)
    assert (card.parameters, card.licence, card.context) == (260_032, "MIT", 512)
    generator = BACKENDS.get("local").load(card, options)
    [stream] = generator.submit([Request(Prompt(text="Once upon a time"), Sampling(greedy=True, max_new_tokens=24))])
    text = "".join(delta.text for delta in stream)
    generator.close()
    assert text.startswith(", there was a little girl named Lily")


@pytest.mark.parametrize(
    "changes",
    [
        {"num_hidden_layers": 10**6},
        {"vocab_size": 10**9},
        {"hidden_size": 0},
        {"hidden_size": "16"},
        {"num_attention_heads": 0},
        {"num_attention_heads": 3},
        {"intermediate_size": 7},
        {"hidden_act": "no such function"},
        {"eos_token_id": "x"},
    ],
    ids=str,
)
def test_configuration_that_does_not_go_with_the_weights_never_loads(changes: dict[str, object], folder: Path) -> None:
    edit(folder / "config.json", **changes)
    with pytest.raises(ModelError) as caught:
        BACKENDS.get("local").load(inspect(folder), Options(device="cpu", roots=(folder.parent,)))
    assert "\n" not in str(caught.value)


def test_absent_and_listed_sizes_are_no_reason_to_refuse(folder: Path) -> None:
    edit(folder / "config.json", n_inner=None, intermediate_size=[24])
    assert inspect(folder).parameters


def test_errors_of_libraries_become_one_sentence() -> None:
    from genai_lab.models.local import clear_errors

    with pytest.raises(LabError, match="small cannot be loaded: size mismatch for a"), clear_errors("small"):
        raise RuntimeError("size mismatch for a.\nlong story")
