"""An adapter's folder (safetensors only) on a base of the catalogue, which all of its adapters share when loaded.

Kinds that PEFT puts into layers and bottlenecks get a second tree of modules over the base's tensors; soft prompts
decode in the base's own batch (`variants.py`).
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from genai_lab.errors import ModelError
from genai_lab.models import BACKENDS, Card, Generator, Options, Source, SourceField
from genai_lab.models.adapter_types import BOTTLENECK
from genai_lab.models.checks import (
    Tensor,
    check_links,
    existing_folder,
    folder_within,
    read_json,
    safetensors_header,
    weight_files,
)
from genai_lab.models.folders import model_folders
from genai_lab.models.inspect import count, hash_of, hashed_files, inspect_folder, joined_hash
from genai_lab.models.local import FolderBackend, clear_errors
from genai_lab.models.sizing import SIZES, packed_bytes

SOFT = frozenset({"PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "CPT", "CARTRIDGE"})
KEYS = frozenset({"PREFIX_TUNING", "CARTRIDGE"})
# Kinds that leave the base's tensors as they are when PEFT puts them into its layers.
INJECTED = frozenset(
    {
        "LORA", "ADALORA", "ADAMSS", "ADAPTION_PROMPT", "BEFT", "BOFT", "C3A", "DEFT", "DELORA", "FOURIERFT", "FROD",
        "GLORA", "GRALORA", "HIRA", "HRA", "IA3", "LILY", "LN_TUNING", "LOHA", "LOKR", "MISS", "OFT", "OSF", "PEANUT",
        "PSOFT", "PVERA", "RANDLORA", "ROAD", "SHIRA", "SUPERTUNING", "TINYLORA", "TRAINABLE_TOKENS", "UNILORA",
        "VBLORA", "VERA", "WAVEFT",
    }
)  # fmt: skip
TASKS = {"CAUSAL_LM": "decoder-only", "SEQ_2_SEQ_LM": "encoder-decoder", "SEQ_CLS": "classifier"}
# These beginnings of `init_lora_weights` take something away from the base's own weights.
CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
NEEDS_MORE = ("megatron_config", "alora_invocation_tokens", "arrow_config")
EMBEDDINGS = ("embed_tokens.weight", "lm_head.weight", "wte.weight", "shared.weight", "word_embeddings.weight")
RANK = 1024
WIDTH = 4


class Adapter(FolderBackend):
    name = "adapter"
    title = "Adapter"
    precedence = 30
    fields = (
        SourceField(
            "location", "PEFT folder", help="With adapter_config.json; choose one or type its path", required=True,
            kind="path",
        ),
        SourceField("base", "Base model", required=True, kind="model"),
    )  # fmt: skip

    def suggestions(self, options: Options) -> list[str]:
        return [str(path) for path in model_folders(options.roots, "adapter_config.json")]

    def detect(self, text: str, options: Options) -> Source | None:
        """A folder with adapter_config.json; its base is chosen by whoever knows the catalogue."""
        folder = existing_folder(text)
        if folder is None or not (folder / "adapter_config.json").is_file():
            return None
        return Source(self.name, str(folder))

    def pretrained_arguments(self, card: Card) -> tuple[str, str | None] | None:
        return None

    def inspect(self, source: Source, name: str, options: Options) -> Card:
        folder = folder_within(source.location, options.roots)
        check_links(folder, options.roots)
        config, tensors = _check(folder)
        base = inspect_folder(_base_folder(source, options), source.base or "", source, options)
        _check_fit(folder, config, tensors, base)
        parameters, stored = count(list(tensors))
        files = hashed_files(folder, weight_files(folder, "adapter_model"))
        # An adapter in the layers has a decoding step of its own; a soft prompt shares its base's.
        graph = base.loaded_dtype == "float32" and config["peft_type"] not in SOFT
        packed = packed_bytes(base.parameters or 0) if graph and base.role == "generate" else 0
        kind, virtual = config["peft_type"], config["num_virtual_tokens"] if config["peft_type"] in SOFT else 0
        return replace(
            base,
            name=name,
            parameters=(base.parameters or 0) + parameters,
            dtype=stored,
            disk_bytes=sum(path.stat().st_size for path in folder.iterdir() if path.is_file()),
            memory_bytes=parameters * WIDTH + packed,
            cache_bytes=0,
            context=base.context - virtual if base.context else base.context,
            content_hash=joined_hash(hash_of(files, folder, options), base.content_hash) if base.content_hash else None,
            path=folder,
            about=f"{kind} adapter with {parameters:,} parameters on {source.base}",
        )

    def load(self, card: Card, options: Options, base: Generator | None = None) -> Generator:
        """The adapter on the loaded `base`, whose tensors it shares."""
        from genai_lab.models import variants
        from genai_lab.models.transformers import LocalGenerator

        if card.path is None:
            raise ModelError(f"{card.name} has no folder; add the adapter again.")
        if not isinstance(base, LocalGenerator):
            raise ModelError(f"{card.name} is an adapter for {card.source.base}, which is not a model of this machine.")
        folder = folder_within(str(card.path), options.roots)
        config, tensors = _check(folder)
        _check_fit(folder, config, tensors, base.card)
        base.prepare()  # making a traced step moves tensors, which then are shared where they stay
        with clear_errors(card.name):
            if config["peft_type"] in SOFT:
                return cast(Generator, variants.SoftGenerator(card, base, variants.soft_prompt(base, folder)))
            make = variants.with_bottlenecks if config["peft_type"] == BOTTLENECK else variants.with_lora_layers
            module = make(base, folder)
            return cast(Generator, LocalGenerator(card, module, base.tokenizer, base.context, variant=True))


def unmergeable(folder: Path) -> str | None:
    """Why the adapter cannot become part of its base's weights; None where it can."""
    kind = read_json(folder / "adapter_config.json").get("peft_type")
    if kind in SOFT:
        return "a soft prompt is read before the text and changes no weight"
    if kind == BOTTLENECK:
        return "bottlenecks are layers of their own, which the base has no weights for"
    return None


def _check(folder: Path) -> tuple[dict[str, Any], tuple[Tensor, ...]]:
    """(settings, tensors) of the adapter; raises ModelError for what cannot be loaded."""
    config = read_json(folder / "adapter_config.json")
    kind = config.get("peft_type")
    if not isinstance(kind, str):
        raise ModelError(f"{folder / 'adapter_config.json'} names no peft_type; save the adapter again with PEFT.")
    if kind not in (INJECTED | SOFT | {BOTTLENECK}):
        raise ModelError(
            f"{folder} is a {kind[:60]} adapter, which the lab cannot switch on a loaded base; choose another kind, "
            "such as LORA or PROMPT_TUNING."
        )
    if unsupported := next((name for name in NEEDS_MORE if config.get(name)), None):
        raise ModelError(f"{folder} sets {unsupported}, which the lab does not know; train the adapter without it.")
    if str(config.get("init_lora_weights")).lower().startswith(CHANGES_BASE):
        raise ModelError(
            f"{folder} was begun with {config['init_lora_weights']}, which changes the weights of its base; save it "
            "with path_initial_model_for_weight_conversion, which makes it a plain LoRA."
        )
    if "adapter_model.safetensors.index.json" in {path.name for path in folder.iterdir()}:
        raise ModelError(f"{folder} holds its weights in parts; save the adapter as one file.")
    [path] = weight_files(folder, "adapter_model")
    tensors = safetensors_header(path)
    _check_sizes(folder, config, tensors)
    return config, tensors


def _check_sizes(folder: Path, config: dict[str, Any], tensors: tuple[Tensor, ...]) -> None:
    """Refuses settings that describe far more than the file holds, which would fill the memory."""
    largest = max([RANK, *(size for tensor in tensors for size in tensor.shape)])
    ranks = config.get("rank_pattern")
    sizes = [config.get(name) for name in ("r", "init_r", "target_r", "adapter_len", "width")]
    sizes += list(ranks.values()) if isinstance(ranks, dict) else []
    if strange := [size for size in sizes if size is not None and not (isinstance(size, int) and 0 <= size <= largest)]:
        raise ModelError(f"{folder} gives {str(strange[0])[:60]} as a size, which its weights do not hold.")
    if config["peft_type"] not in SOFT:
        return
    shapes = {tensor.name: tensor.shape for tensor in tensors}
    size, shape = config.get("num_virtual_tokens"), shapes.get("prompt_embeddings", ())
    if len(shapes) != 1 or len(shape) != 2:
        raise ModelError(f"{folder} is a {config['peft_type']} adapter, but its file is not one table of embeddings.")
    if not isinstance(size, int) or size < 1 or shape[0] not in (size, 2 * size):
        raise ModelError(f"{folder} names {size!r} virtual tokens, and its table has {shape[0]}; save it again.")
    if config["peft_type"] in KEYS:
        layers, width = config.get("num_layers"), config.get("token_dim")
        if not isinstance(layers, int) or not isinstance(width, int) or 2 * layers * width != shape[1]:
            raise ModelError(f"{folder} holds keys and values of another size than its settings say; save it again.")


def _base_folder(source: Source, options: Options) -> Path:
    bases = dict(options.base_paths)
    if not source.base:
        raise ModelError("An adapter needs the name of its base model; choose one of the catalogue.")
    if source.base not in bases:
        names = ", ".join(sorted(bases)) or "none yet"
        raise ModelError(
            f"The base {source.base!r} of this adapter is not in the catalogue as a folder. Known: {names}."
        )
    return bases[source.base]


def _check_fit(folder: Path, config: dict[str, Any], tensors: tuple[Tensor, ...], base: Card) -> None:
    """Compares task and shapes with the base.

    LoRA's A is (r, in) and its B (out, r) beside a weight (out, in), a bottleneck's down (width, out) and its up
    (out, width), a soft prompt's embeddings (P, D).
    """
    task, kind = config.get("task_type"), config["peft_type"]
    if task in TASKS and TASKS[task] != base.family:
        raise ModelError(f"{folder} is an adapter for {task}, but its base is {base.family}.")
    if kind in SOFT and task not in TASKS:
        raise ModelError(f"{folder} is a {kind} adapter that names no task_type; save it again with one.")
    assert base.path is not None
    if kind in SOFT - KEYS:
        _check_width(folder, tensors[0].shape[1], read_json(base.path / "config.json"))
    shapes = {t.name: t.shape for path in weight_files(base.path) for t in safetensors_header(path)}
    for tensor in tensors:
        _check_whole(folder, tensor, shapes)
        stem, size = _changed(tensor)
        if not stem:
            continue
        shape = _shape(shapes, f"{stem}.weight")
        if shape is None or size not in shape:
            actual = f"has {'x'.join(map(str, shape))} there" if shape else "has no such weight"
            raise ModelError(
                f"{folder} does not fit its base: it changes {stem} with size {size}, and the base {actual}; choose "
                "the base that it was trained on."
            )


def _check_whole(folder: Path, tensor: Tensor, shapes: dict[str, tuple[int, ...]]) -> None:
    """Compares a whole weight that the adapter brings, such as an output layer or resized embeddings, with the base's.

    A tied output layer is not in the base's files; its embeddings have its shape.
    """
    name = tensor.name.removeprefix("base_model.model.").replace(".base_layer.", ".").replace(".modules_to_save.", ".")
    embeds = name.endswith(EMBEDDINGS)
    shape = _shape(shapes, name)
    if shape is None and embeds:
        shape = next((candidate for other, candidate in shapes.items() if other.endswith(EMBEDDINGS)), None)
    size = tensor.shape
    if name.endswith(".lora_embedding_A"):
        # (r, words): what it adds to the embeddings is one column a word.
        shape = _shape(shapes, f"{name.removesuffix('.lora_embedding_A')}.weight")
        embeds, size = True, (tensor.shape[-1], *(shape or ())[1:])
    if shape is None or size == shape:
        return
    if embeds and len(size) == len(shape) == 2 and size[1] == shape[1]:
        raise ModelError(
            f"{folder} does not fit its base: it brings embeddings of {size[0]:,} words, and the base has "
            f"{shape[0]:,}, so it was trained after the vocabulary was resized. Resize the base to {size[0]:,} "
            "(resize_token_embeddings), save it with the adapter's tokenizer, add it and choose it as the base."
        )
    raise ModelError(
        f"{folder} does not fit its base: it brings {name} as {'x'.join(map(str, tensor.shape))}, and the base has "
        f"{'x'.join(map(str, shape))} there; choose the base that it was trained on."
    )


def _check_width(folder: Path, size: int, config: dict[str, Any]) -> None:
    width = next((config[name] for name in SIZES["width"] if isinstance(config.get(name), int)), size)
    if size != width:
        raise ModelError(
            f"{folder} does not fit its base: its virtual tokens have width {size}, and the base has {width}; choose "
            "the base that it was trained on."
        )


def _changed(tensor: Tensor) -> tuple[str, int]:
    """The path of the layer that the tensor stands beside and the size that must be the layer's; ("", 0) for others."""
    if len(tensor.shape) == 2:
        name = tensor.name.removeprefix("base_model.model.")
        for end, axis in ((".lora_A.weight", 1), (".lora_B.weight", 0), (".down.weight", 1), (".up.weight", 0)):
            if name.endswith(end):
                return name.removesuffix(end), tensor.shape[axis]
    return "", 0


def _shape(shapes: dict[str, tuple[int, ...]], name: str) -> tuple[int, ...] | None:
    """Some checkpoints leave out the outermost module's name."""
    inner = name.partition(".")[2]
    return shapes.get(name) or shapes.get(inner)


BACKENDS.register("adapter")(Adapter())
