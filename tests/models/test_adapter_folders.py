"""Folders of adapters: what their cards say, and one clear sentence for everything that is wrong."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from genai_lab.decoding import Sampling
from genai_lab.errors import ModelError
from genai_lab.models import BACKENDS, Card, Options, Prompt, Request, Source
from tests.models.folders import edit, inspect, lora, small_llama


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small_llama(tmp_path / "small")


def generated(card: Card, options: Options, text: str = "ab") -> tuple[int | None, ...]:
    base = inspect(dict(options.base_paths)["small"]) if card.source.base else None
    below = (
        BACKENDS.get("local").load(base, replace(options, roots=(base.path.parent,))) if base and base.path else None
    )
    generator = BACKENDS.get(card.source.backend).load(card, options, below)
    try:
        [stream] = generator.submit([Request(Prompt(text=text), Sampling(greedy=True, max_new_tokens=12))])
        list(stream)
        return tuple(token.id for token in stream.completions[0].tokens)
    finally:
        generator.close()
        if below is not None:
            below.close()


def on_base(adapter: Path, base: Path | None) -> tuple[Source, Options]:
    bases = (("small", base),) if base else ()
    return Source("adapter", str(adapter), base="small"), Options(
        device="cpu", roots=(adapter.parent,), base_paths=bases
    )


def test_adapter_changes_what_its_base_says(folder: Path, tmp_path: Path) -> None:
    source, options = on_base(lora(tmp_path / "lora"), folder)
    card = BACKENDS.get("adapter").inspect(source, "tuned", options)
    base = inspect(folder)
    assert card.parameters == (base.parameters or 0) + 2 * 2 * 2 * 16
    assert card.content_hash not in (None, base.content_hash)
    assert generated(card, options) != generated(base, options)
    source, options = on_base(lora(tmp_path / "nothing", scale=0.0), folder)
    unchanged = BACKENDS.get("adapter").inspect(source, "same", options)
    assert generated(unchanged, options) == generated(base, options)


BAD_ADAPTERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no base": (lambda f: None, "not in the catalogue"),
    "other size": (lambda f: lora(f, size=8), "does not fit its base"),
    "other task": (lambda f: edit(f / "adapter_config.json", task_type="SEQ_2_SEQ_LM"), "SEQ_2_SEQ_LM"),
    "prompt tuning": (
        lambda f: edit(f / "adapter_config.json", peft_type="PROMPT_TUNING"),
        "not one table of embeddings",
    ),
    "a kind of its own": (lambda f: edit(f / "adapter_config.json", peft_type="XLORA"), "XLORA adapter, which the lab"),
    "changes its base": (lambda f: edit(f / "adapter_config.json", init_lora_weights="pissa_niter_4"), "plain LoRA"),
    "runs a module": (lambda f: edit(f / "adapter_config.json", megatron_config={"a": 1}), "megatron_config"),
    "endless rank": (lambda f: edit(f / "adapter_config.json", r=10**9), "1000000000 as a size"),
    "in parts": (lambda f: (f / "adapter_model.safetensors.index.json").write_text("{}"), "in parts"),
    "pickled": (lambda f: (f / "adapter_model.safetensors").rename(f / "adapter_model.bin"), "pickle"),
    "no settings": (lambda f: (f / "adapter_config.json").unlink(), "no adapter_config.json"),
    "cut off": (lambda f: (f / "adapter_model.safetensors").write_bytes(b"\0" * 20), "damaged|JSON"),
}


@pytest.mark.parametrize("case", BAD_ADAPTERS)
def test_bad_adapter_gives_one_clear_sentence(case: str, folder: Path, tmp_path: Path) -> None:
    adapter = lora(tmp_path / "lora")
    spoil, message = BAD_ADAPTERS[case]
    spoil(adapter)
    source, options = on_base(adapter, None if case == "no base" else folder)
    with pytest.raises(ModelError, match=message):
        BACKENDS.get("adapter").inspect(source, "tuned", options)


def test_adapter_is_no_whole_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="add it as an adapter"):
        inspect(lora(tmp_path / "lora"))
