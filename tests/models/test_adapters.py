"""Adapters on one loaded base: each says what PEFT's own says, and the base is there once and stays as it is."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, RobertaConfig, RobertaForSequenceClassification

from genai_lab.decoding import Sampling
from genai_lab.errors import BadSetting, ModelError, PromptTooLong
from genai_lab.models import BACKENDS, Card, Generator, Options, Prompt, Request, bottleneck
from genai_lab.models.adapter import INJECTED, SOFT
from genai_lab.models.cache import ModelCache
from genai_lab.models.variants import share_module
from tests.models.adapters import TASKS, adapter, card, load_model, reference, tiny_folder
from tests.products import representatives
from tests.tiny import loaded_generator

TRACED = ["LORA", "DORA", "IA3"]
INTO_LAYERS = [*TRACED, "RSLORA", "LORA WITH HEAD", "LORA ON EMBEDDINGS", "ADALORA", "LOHA", "LOKR", "OFT", "VERA",
               "LN_TUNING", "FOURIERFT", "TRAINABLE_TOKENS"]  # fmt: skip
BEFORE = ["PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "CARTRIDGE"]
SAME_WAY = ["RSLORA", "LORA ON EMBEDDINGS", "LOHA", "OFT", "FOURIERFT", "CPT"]
CASES = [(kind, family) for family in TASKS for kind in [*INTO_LAYERS, *BEFORE, "CPT"]]
CASES = [case for case in CASES if case[1] == "llama" or case[0] not in SAME_WAY]
TEXTS = ("Once upon", "Hello, you!")


class Bench:
    """A cache over tiny models in folders; `loads` counts what it has loaded."""

    def __init__(self, path: Path) -> None:
        self.folder, self.loads = path, Counter[str]()
        self.folders = {family: tiny_folder(path, family) for family in TASKS}
        self.cards = {family: card(family, folder) for family, folder in self.folders.items()}
        self.cache = ModelCache(10**9, Options(device="cpu", roots=(path,)), self._load)

    def _load(self, card: Card, options: Options, base: Generator | None) -> Generator:
        self.loads[card.name] += 1
        return BACKENDS.get(card.source.backend).load(card, options, base)

    def build_adapter(self, kind: str, family: str, seed: int = 0) -> Path:
        folder = self.folder / f"{kind}-{family}-{seed}"
        return folder if folder.is_dir() else adapter(folder, kind, family, self.folders[family], seed)

    def acquire(self, folder: Path, family: str) -> Generator:
        adapter_card = card(folder.name, folder, self.folders[family])
        return self.cache.acquire(adapter_card, self.cards[family])

    def base(self, family: str) -> Any:
        self.cache.acquire(self.cards[family])
        generator: Any = loaded_generator(self.cache, family)
        generator.prepare()
        return generator


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    new_bench = Bench(tmp_path_factory.mktemp("adapters"))
    yield new_bench
    new_bench.cache.close()


def greedy(text: str, **options: Any) -> Request:
    return Request(Prompt(text), Sampling(greedy=True, max_new_tokens=7, seed=0, **options), return_logits=True)


def greedy_ids(generator: Any, texts: tuple[str, ...] = TEXTS, **options: Any) -> list[list[int | None]]:
    streams = generator.submit([greedy(text, **options) for text in texts])
    for stream in streams:
        list(stream)
    return [[token.id for token in stream.completions[0].tokens] for stream in streams]


def expected(module: Any, tokenizer: Any, text: str, **options: Any) -> list[int]:
    """What `generate` of transformers or PEFT says, up to the end token."""
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    out = module.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=7, pad_token_id=0, **options
    )
    new = out[0, 1 if module.config.is_encoder_decoder else ids.shape[1] :].tolist()
    return new[: new.index(1)] if 1 in new else new


def first_logits(module: Any, tokenizer: Any, text: str) -> torch.Tensor:
    """(V,) after the prompt."""
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    start = {"decoder_input_ids": torch.zeros((1, 1), dtype=torch.long)} if module.config.is_encoder_decoder else {}
    with torch.no_grad():
        actual: torch.Tensor = module(input_ids=ids, attention_mask=torch.ones_like(ids), **start).logits[0, -1]
    return actual


def group_of(kind: str) -> str:
    """Kinds of one group are read in the same way."""
    return next((name for name, kinds in (("layers", INTO_LAYERS), ("before", BEFORE)) if kind in kinds), kind)


@pytest.mark.parametrize(
    ("kind", "family"),
    representatives(CASES, lambda row: row[0], lambda row: (group_of(row[0]), row[0] in TRACED, row[1])),
    ids=str,
)
def test_an_adapter_says_what_peft_says(kind: str, family: str, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, base = bench.build_adapter(kind, family), bench.base(family)
    if kind not in TRACED:
        monkeypatch.setattr("genai_lab.decoding.batch.can_be_traced", lambda module, largest: False)
    generator = bench.acquire(folder, family)
    inner: Any = loaded_generator(bench.cache, folder.name)
    if kind in TRACED:
        inner.prepare()
    peft, plain = reference(bench.folders[family], folder), greedy_ids(base)
    result = greedy_ids(generator)
    assert result == [expected(peft, base.tokenizer, text) for text in TEXTS]
    assert result != plain
    [stream] = generator.submit([greedy(TEXTS[0])])
    list(stream)
    required = first_logits(peft, base.tokenizer, TEXTS[0])
    torch.testing.assert_close(torch.tensor(stream.logits(0, 0)), required, atol=1e-4, rtol=1e-4)
    assert greedy_ids(base) == plain, "the base is as it was"
    assert bench.cache.loaded()[folder.name].memory_bytes < 0.5 * bench.cache.loaded()[family].memory_bytes
    assert bench.loads[family] == 1
    assert kind not in TRACED or inner.scheduler.network.quick is not None
    bench.cache.unload(folder.name)


def test_every_kind_named_is_one_of_pefts() -> None:
    from peft import PeftType

    assert set(PeftType) >= INJECTED | SOFT


@pytest.mark.parametrize("family", TASKS)
def test_adapters_and_base_take_turns_over_the_same_tensors(family: str, bench: Bench) -> None:
    base = bench.base(family)
    before = {name: (weight.data_ptr(), weight.clone()) for name, weight in base.module.state_dict().items()}
    logits, loads = first_logits(base.module, base.tokenizer, "ab"), bench.loads[family]
    names = [("LORA", 0), ("LORA", 1), ("PROMPT_TUNING", 0), ("PREFIX_TUNING", 1)]
    all_of = [base, *(bench.acquire(bench.build_adapter(kind, family, seed), family) for kind, seed in names)]
    alone = [greedy_ids(item) for item in all_of]
    assert len({str(ids) for ids in alone}) == len(all_of)
    for position in (3, 0, 1, 2, 4, 1, 0):
        assert greedy_ids(all_of[position]) == alone[position]
    together = [item.submit([greedy(text) for text in TEXTS]) for item in all_of]
    for stream in (stream for streams in together for stream in streams):
        list(stream)
    assert [[[t.id for t in s.completions[0].tokens] for s in streams] for streams in together] == alone
    variant: Any = loaded_generator(bench.cache, f"LORA-{family}-1")
    inner = {weight.data_ptr() for weight in variant.module.parameters()}
    assert {index for index, _ in before.values()} <= inner, "the variant holds the base's own memory"
    assert all(torch.equal(weight, before[name][1]) for name, weight in base.module.state_dict().items())
    assert torch.equal(first_logits(base.module, base.tokenizer, "ab"), logits)
    assert not any("lora" in name for name, _ in base.module.named_modules())
    assert bench.loads[family] == loads


@pytest.mark.parametrize("family", TASKS)
def test_soft_prompts_and_plain_rows_share_the_bases_steps(family: str, bench: Bench) -> None:
    base = bench.base(family)
    softs = [bench.acquire(bench.build_adapter(kind, family, 1), family) for kind in BEFORE]
    alone = [greedy_ids(item) for item in [base, *softs]]
    scheduler, steps = base.scheduler, base.scheduler.steps
    scheduler.largest = 0
    streams = [stream for item in [base, *softs] for stream in item.submit([greedy(text) for text in TEXTS])]
    for stream in streams:
        list(stream)
    assert [[t.id for t in stream.completions[0].tokens] for stream in streams] == [
        ids for soft in alone for ids in soft
    ]
    assert scheduler.largest > len(TEXTS), "rows of several soft prompts took steps together"
    assert scheduler.steps - steps < 5 * 7


@pytest.mark.parametrize("kind", ["PROMPT_TUNING", "PREFIX_TUNING"])
@pytest.mark.parametrize("family", TASKS)
def test_beam_search_runs_behind_a_soft_prompt(kind: str, family: str, bench: Bench) -> None:
    folder = bench.build_adapter(kind, family)
    peft, base = reference(bench.folders[family], folder), bench.base(family)
    result = greedy_ids(bench.acquire(folder, family), TEXTS[:1], num_beams=3)
    assert result == [expected(peft, base.tokenizer, TEXTS[0], num_beams=3)]


def test_virtual_tokens_take_their_part_of_the_context(bench: Bench) -> None:
    folder = bench.build_adapter("PROMPT_TUNING", "llama")
    assert card("soft", folder, bench.folders["llama"]).context == 256 - 5
    generator = bench.acquire(folder, "llama")
    greedy_ids(generator, ("x" * 250,))
    with pytest.raises(PromptTooLong, match="256"):
        generator.submit([greedy("x" * 251)])
    greedy_ids(bench.base("llama"), ("x" * 251,))


@pytest.mark.parametrize(("family", "activation"), [("llama", "gelu"), ("t5", "relu")])
def test_a_bottleneck_adapter_survives_its_folder(family: str, activation: str, bench: Bench, tmp_path: Path) -> None:
    base, folder = bench.base(family), bench.folder / f"bottleneck-{family}-{activation}"
    module = load_model(bench.folders[family])
    before = first_logits(module, base.tokenizer, "ab")
    targets = bottleneck.targets_of(module)
    paths = bottleneck.insert(module, 6, activation, targets)
    assert len(paths) == {"llama": 4, "t5": 2 * 2 + 2 * 3}[family]
    assert torch.equal(first_logits(module, base.tokenizer, "ab"), before), "untrained it changes nothing"
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if ".up." in name or ".down." in name:
                weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(len(name))) * 0.5)
    config = {"task_type": TASKS[family], "width": 6, "activation": activation, "targets": targets}
    bottleneck.save(module, folder, config)
    assert set(load_file(folder / "adapter_model.safetensors")) == {
        f"{path}.{part}.{name}" for path in paths for part in ("down", "up") for name in ("weight", "bias")
    }
    plain = greedy_ids(base)
    result = greedy_ids(bench.acquire(folder, family))
    assert result == [expected(module, base.tokenizer, text) for text in TEXTS]
    assert result != plain
    assert greedy_ids(base) == plain
    assert card("it", folder, bench.folders[family]).about.startswith("HOULSBY adapter with")


def test_bottlenecks_stand_in_other_models_and_refuse_what_does_not_fit(bench: Bench) -> None:
    sizes: dict[str, Any] = {"vocab_size": 20}
    gpt = GPT2LMHeadModel(GPT2Config(n_embd=8, n_layer=1, n_head=2, n_positions=16, **sizes))
    assert bottleneck.insert(gpt, 2, "relu", bottleneck.targets_of(gpt)) == [
        "transformer.h.0.attn.c_proj",
        "transformer.h.0.mlp.c_proj",
    ]
    assert gpt(torch.tensor([[1, 2]])).logits.shape == (1, 2, 20)
    settings = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    roberta = RobertaForSequenceClassification(RobertaConfig(**settings, **sizes))
    paths = bottleneck.insert(roberta, 2, "gelu", bottleneck.targets_of(roberta))
    assert [path.partition("layer.0.")[2] for path in paths] == ["attention.output.dense", "output.dense"]
    with pytest.raises(ModelError, match="give the targets"):
        bottleneck.targets_of(torch.nn.Linear(2, 2))
    for width, activation, targets in ((0, "gelu", ["wo"]), (2, "tanh", ["wo"]), (2, "gelu", ["nothing"])):
        with pytest.raises(BadSetting):
            bottleneck.insert(load_model(bench.folders["t5"]), width, activation, targets)


def edited(folder: Path, path: Path, edit: Any, **settings: Any) -> Path:
    """A copy of the adapter with other settings, whose tensors went through `edit`."""
    path.mkdir(parents=True)
    config = json.loads((folder / "adapter_config.json").read_text()) | settings
    (path / "adapter_config.json").write_text(json.dumps(config))
    tables = load_file(folder / "adapter_model.safetensors")
    edit(tables)
    save_file(tables, path / "adapter_model.safetensors")
    return path


GATE = "base_model.model.model.layers.0.mlp.gate_proj.weight"
HOSTILE: dict[str, tuple[str, Any, str]] = {
    "writes over the base": ("LORA", lambda t: t.update({GATE: torch.zeros(64, 32)}), "settings do not name"),
    "lacks a tensor": ("LORA", lambda t: t.pop(min(t)), "its file does not have"),
    "brings more": ("VERA", lambda t: t.update(more=torch.zeros(3)), "settings do not name"),
    "soft with more": ("PROMPT_TUNING", lambda t: t.update({GATE: torch.zeros(64, 32)}), "not one table"),
    "other count": ("P_TUNING", lambda t: t.update(prompt_embeddings=torch.zeros(9, 32)), "names 3 virtual tokens"),
    "other width": ("PROMPT_TUNING", lambda t: t.update(prompt_embeddings=torch.zeros(5, 8)), "have width 8"),
    "other keys": ("PREFIX_TUNING", lambda t: t.update(prompt_embeddings=torch.zeros(4, 8)), "another size"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_folder_is_refused_and_leaves_the_base_alone(case: str, bench: Bench) -> None:
    kind, edit, message = HOSTILE[case]
    folder = edited(bench.build_adapter(kind, "llama"), bench.folder / case / "it", edit)
    base = bench.base("llama")
    before = greedy_ids(base)
    with pytest.raises(ModelError, match=message) as caught:
        bench.acquire(folder, "llama")
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
    assert greedy_ids(base) == before


def test_keys_of_another_shape_fail_before_any_row_stands_behind_them(bench: Bench) -> None:
    folder = bench.build_adapter("PREFIX_TUNING", "llama")
    other = edited(folder, bench.folder / "layers" / "it", lambda tables: None, num_layers=4, token_dim=8)
    with pytest.raises(ModelError, match=r"it cannot be loaded|keys for 4 layers"):
        bench.acquire(other, "llama")


def test_what_an_adapter_brings_for_a_parameter_of_the_base_is_its_own() -> None:
    module = torch.nn.ModuleDict({"a": torch.nn.Linear(2, 2), "b": torch.nn.Linear(2, 2)})
    module["b"].weight = module["a"].weight
    again = share_module(module, {"b.weight", "a.bias"})
    assert again["a"].weight is again["b"].weight
    assert again["a"].weight.data_ptr() != module["a"].weight.data_ptr()
    assert again["b"].bias.data_ptr() == module["b"].bias.data_ptr()
    assert module["b"].bias.requires_grad
    assert not again["b"].bias.requires_grad
