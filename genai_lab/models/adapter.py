"""A PEFT adapter folder (LoRA and its kin, safetensors only) on a base of the catalogue, merged into it when loaded."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from genai_lab.errors import ModelError
from genai_lab.models import BACKENDS, Card, Generator, Options, Source
from genai_lab.models.checks import Tensor, check_links, folder_within, read_json, safetensors_header, weight_files
from genai_lab.models.inspect import count, hashed_files, inspect_folder, joined_hash, quick_check
from genai_lab.models.local import clear_errors
from genai_lab.provenance import content_hash

# These put embeddings or keys before the prompt instead of changing weights, so that nothing can be merged.
NOT_MERGED = ("PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "MULTITASK_PROMPT_TUNING", "CPT", "ADAPTION_PROMPT",
              "CARTRIDGE", "POLY", "XLORA")  # fmt: skip
TASKS = {"CAUSAL_LM": "decoder-only", "SEQ_2_SEQ_LM": "encoder-decoder", "SEQ_CLS": "classifier"}


class Adapter:
    name = "adapter"
    title = "PEFT adapter"

    def inspect(self, source: Source, name: str, options: Options) -> Card:
        folder = folder_within(source.location, options.roots)
        check_links(folder, options.roots)
        kind, tensors = _check(folder)
        base = inspect_folder(_base_folder(source, options), source.base or "", source, options)
        _check_fit(folder, tensors, base)
        parameters, stored = count(list(tensors))
        files = hashed_files(folder, weight_files(folder, "adapter_model"))
        return replace(
            base,
            name=name,
            parameters=(base.parameters or 0) + parameters,
            dtype=stored,
            disk_bytes=sum(path.stat().st_size for path in folder.iterdir() if path.is_file()),
            content_hash=joined_hash(content_hash(files, folder), base.content_hash),
            path=folder,
            about=f"{kind} adapter with {parameters:,} parameters on {source.base}",
        )

    def load(self, card: Card, options: Options) -> Generator:
        from genai_lab.models.transformers import LocalGenerator, load_local

        if card.path is None:
            raise ModelError(f"{card.name} has no folder; add the adapter again.")
        folder = folder_within(str(card.path), options.roots)
        _, tensors = _check(folder)
        place = _base_folder(card.source, options)
        quick_check(place)
        _check_fit(folder, tensors, replace(card, path=place))
        with clear_errors(card.name):
            base: Any = load_local(place, card, options)
            try:
                module = _merged(base.module, folder)
            finally:
                base.scheduler.close()
            return cast(Generator, LocalGenerator(card, module, base.tokenizer, base.context))


def _merged(module: Any, folder: Path) -> Any:
    from peft import PeftModel

    return PeftModel.from_pretrained(module, folder, is_trainable=False).merge_and_unload(safe_merge=True).eval()


def _check(folder: Path) -> tuple[str, tuple[Tensor, ...]]:
    """(method, tensors) of the adapter; raises ModelError for what cannot be loaded."""
    config = read_json(folder / "adapter_config.json")
    kind = config.get("peft_type")
    if not isinstance(kind, str):
        raise ModelError(f"{folder / 'adapter_config.json'} names no peft_type; save the adapter again with PEFT.")
    if kind in NOT_MERGED:
        raise ModelError(
            f"{folder} is a {kind} adapter, which stands before the prompt instead of changing weights and cannot be "
            "merged; choose one that changes weights, such as LORA."
        )
    [path] = weight_files(folder, "adapter_model")[:1]
    return kind, safetensors_header(path)


def _base_folder(source: Source, options: Options) -> Path:
    bases = dict(options.base_paths)
    if not source.base:
        raise ModelError("An adapter needs the name of its base model; choose one of the catalogue.")
    if source.base not in bases:
        known = ", ".join(sorted(bases)) or "none yet"
        raise ModelError(
            f"The base {source.base!r} of this adapter is not in the catalogue as a folder. Known: {known}."
        )
    return bases[source.base]


def _check_fit(folder: Path, tensors: tuple[Tensor, ...], base: Card) -> None:
    """Compares task and shapes with the base: LoRA's A is (r, in) and its B (out, r) beside a weight (out, in)."""
    task = read_json(folder / "adapter_config.json").get("task_type")
    if task in TASKS and TASKS[task] != base.family:
        raise ModelError(f"{folder} is an adapter for {task}, but its base {base.source.base} is {base.family}.")
    assert base.path is not None
    shapes = {t.name: t.shape for path in weight_files(base.path) for t in safetensors_header(path)}
    for tensor in tensors:
        stem, _, part = tensor.name.removeprefix("base_model.model.").partition(".lora_")
        if part not in ("A.weight", "B.weight") or len(tensor.shape) != 2:
            continue
        shape = _shape(shapes, f"{stem}.weight")
        size = tensor.shape[1] if part.startswith("A") else tensor.shape[0]
        if shape is None or size not in shape:
            found = f"has {'x'.join(map(str, shape))} there" if shape else "has no such weight"
            raise ModelError(
                f"{folder} does not fit its base {base.source.base}: it changes {stem} with size {size}, and the base "
                f"{found}; choose the base that it was trained on."
            )


def _shape(shapes: dict[str, tuple[int, ...]], name: str) -> tuple[int, ...] | None:
    """Some checkpoints leave out the outermost module's name."""
    inner = name.partition(".")[2]
    return shapes.get(name) or shapes.get(inner)


BACKENDS.register("adapter")(Adapter())
