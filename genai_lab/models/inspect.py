"""What a model folder says of itself, read from its files without importing torch: the card before loading."""

import ast
import hashlib
import importlib.util
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from genai_lab.errors import ModelError
from genai_lab.hashing import AT_ONCE, digests
from genai_lab.models import Card, Family, Options, Role, Source, sizing
from genai_lab.models.chat import check_template, stored_template
from genai_lab.models.checks import DTYPES, Tensor, read_json, safetensors_header, weight_files
from genai_lab.models.pooling import is_sentence_model, pooling_files, read_pooling
from genai_lab.models.sizing import SIZES, load_dtype
from genai_lab.provenance import content_hash

FAMILIES: dict[str, Family] = {
    "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES": "decoder-only",
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES": "encoder-decoder",
    "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES": "classifier",
    "MODEL_FOR_MASKED_LM_MAPPING_NAMES": "encoder",
    "MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES": "encoder",
}
SEEN_ENCODERS = ("clip_text_model", "emu3", "mllama", "molmo2_text", "tipsv2_text_model", "llama4")  # of images
SENSES = ("vision_config", "audio_config", "image_size", "num_mel_bins", "audio_encoder_config", "thinker_config")
TOKENIZERS = (
    {"tokenizer.json"}, {"tokenizer.model"}, {"spiece.model"}, {"sentencepiece.bpe.model"}, {"source.spm"},
    {"vocab.json", "merges.txt"}, {"vocab.txt"}, {"tekken.json"},
)  # fmt: skip
TOKENIZER_FILES = {name for names in TOKENIZERS for name in names} | {
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja", "target.spm",
    "chat_template.json", "generation_config.json", "vocab.json",
}  # fmt: skip
CONTEXT = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length", "sliding_window")
RELATIVE = ("t5", "mt5", "umt5")
LICENCES = ("MIT License", "Apache License", "BSD", "GNU", "Mozilla Public License", "Creative Commons")
NO_LIMIT = 10**9


def inspect_folder(folder: Path, name: str, source: Source, options: Options) -> Card:
    """The card of the transformers model in `folder`; raises ModelError for whatever keeps it from loading.

    `content_hash` is over configuration, tokenizer and weights.
    """
    if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
        raise ModelError(f"{folder} holds a PEFT adapter, not a whole model; add it as an adapter on its base.")
    config = read_json(folder / "config.json")
    family, architecture = classify(config, str(folder))
    weights = weight_files(folder)
    tensors = [tensor for path in weights for tensor in safetensors_header(path)]
    tokenizer_config = check_tokenizer(folder)
    parameters, stored = count(tensors)
    check_sizes(config, parameters, str(folder))
    room = context(config, tokenizer_config)
    about, licence = _readme(folder)
    completes, template = is_starter_template(folder), stored_template(folder, tokenizer_config)
    # A starter's template is the lab's own and needs no look, nor the process that takes it.
    if template and not completes and (unreadable := check_template(template, folder)):
        template, about = "", f"Completion only: its chat template {unreadable}. {about}".strip()
    if is_sentence_model(folder):
        _check_sentence_model(folder, family, name)
    size = sizing.estimate_memory(
        config, family, parameters, room, load_dtype(options, stored, family), options, folder
    )
    return Card(
        name=name,
        source=source,
        role=role_of(family, config),
        family=family,
        architecture=architecture,
        parameters=parameters,
        dtype=stored,
        disk_bytes=sum(path.stat().st_size for path in folder.iterdir() if path.is_file()),
        memory_bytes=size.total,
        cache_bytes=size.cache,
        loaded_dtype=size.dtype,
        context=room,
        licence=licence,
        content_hash=hash_of(hashed_files(folder, weights), folder, options),
        chat=bool(template),
        completes=completes,
        path=folder,
        about=about,
    )


def _check_sentence_model(folder: Path, family: Family, name: str) -> None:
    """Raises ModelError for a folder of sentence-transformers whose vectors the lab does not compute."""
    if family != "encoder":
        raise ModelError(
            f"{name} embeds texts with a model that is {family}; the lab computes vectors of encoders alone, such as "
            "MiniLM."
        )
    read_pooling(folder)


def hash_of(files: list[Path], folder: Path, options: Options) -> str | None:
    """The content's hash; None where counting it would keep a user waiting, unless `hash_all` is set."""
    store = digests(options.hashes)
    if not options.hash_all and store.unread(files) > AT_ONCE:
        return None
    return content_hash(files, folder, store)


def role_of(family: Family, config: dict[str, Any]) -> Role:
    """A classifier with one output gives a reward: a share of one class would always be 1. An encoder embeds."""
    if family not in ("classifier", "encoder"):
        return "generate"
    if family == "encoder":
        return "embed"
    return "reward" if len(config.get("id2label") or "ab") == 1 else "classify"


def quick_check(folder: Path) -> None:
    """What can have gone wrong since the folder was inspected: files gone, cut off or changed into something else."""
    if not folder.is_dir():
        raise ModelError(f"{folder} is gone; put it back or add the model again.")
    classify(read_json(folder / "config.json"), str(folder))
    for path in weight_files(folder):
        safetensors_header(path)
    check_tokenizer(folder)


def classify(config: dict[str, Any], where: str) -> tuple[Family, str]:
    """Family and class name of the model that `config` describes; raises ModelError where it is not text model."""
    listed = config.get("architectures")
    names = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    kind = config.get("model_type")
    families, by_type = known_classes()
    own_code = isinstance(config.get("auto_map"), dict) and bool(config["auto_map"])
    architecture = names[0] if names else by_type.get(str(kind), "")
    if own_code and architecture not in families:
        raise ModelError(
            f"{where} wants to run its own code (trust_remote_code), which the lab never does; choose a model that "
            "transformers knows."
        )
    if architecture not in families or any(config.get(sense) for sense in SENSES):
        what = architecture or (f"a model of type {kind!r}" if kind else "without architecture or model_type")
        raise ModelError(f"{where} is {what}, which is not a text model that generates or classifies; choose another.")
    if quantised := config.get("quantization_config"):
        method = quantised.get("quant_method", "a method") if isinstance(quantised, dict) else "a method"
        raise ModelError(f"{where} is quantised with {method}, which needs packages that the lab does not have.")
    return families[architecture], architecture


@cache
def known_classes() -> tuple[dict[str, Family], dict[str, str]]:
    """({class: family}, {model type: class}) of transformers' text models.

    Read from the source of its auto classes, because importing them imports torch and takes seconds.
    """
    spec = importlib.util.find_spec("transformers")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("The package transformers is not installed; install requirements.txt.")
    path = Path(spec.submodule_search_locations[0]) / "models" / "auto" / "modeling_auto.py"
    tables: dict[str, list[Any]] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(node, ast.Assign) and isinstance(target, ast.Name) and target.id in FAMILIES:
            assert isinstance(node.value, ast.Call)
            tables[target.id] = ast.literal_eval(node.value.args[0])
    families: dict[str, Family] = {}
    by_type: dict[str, str] = {}
    # In this order: some that generate are listed as masked language models too.
    for table, family in FAMILIES.items():
        for kind, classes in tables[table]:
            if kind in SEEN_ENCODERS and table == "MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES":
                continue
            for name in [classes] if isinstance(classes, str) else classes:
                families.setdefault(name, family)
                by_type.setdefault(kind, name)
    return families, by_type


def check_tokenizer(folder: Path) -> dict[str, Any]:
    """The tokenizer's settings ({} where it has none); raises ModelError where there is no tokenizer."""
    names = {path.name for path in folder.iterdir()}
    if not any(required <= names for required in TOKENIZERS):
        raise ModelError(f"{folder} has no tokenizer (tokenizer.json); copy it from where the model came from.")
    if "tokenizer.json" in names and not isinstance(read_json(folder / "tokenizer.json", 2**28).get("model"), dict):
        raise ModelError(f"{folder / 'tokenizer.json'} describes no tokenizer; download or save it again.")
    settings = read_json(folder / "tokenizer_config.json") if "tokenizer_config.json" in names else {}
    if settings.get("auto_map") and "tokenizer.json" not in names:
        raise ModelError(
            f"{folder} has a tokenizer that wants to run its own code (trust_remote_code), which the lab never does."
        )
    return settings


def count(tensors: list[Tensor]) -> tuple[int, str]:
    """Number of parameters and the dtype that most of them are stored in; raises ModelError where there are none."""
    numbers: Counter[str] = Counter()
    for tensor in tensors:
        if tensor.dtype in DTYPES:
            numbers[DTYPES[tensor.dtype]] += tensor.numbers
    if not numbers:
        raise ModelError("The weights hold no floating-point numbers; choose a model that is not quantised.")
    return sum(numbers.values()), numbers.most_common(1)[0][0]


def check_sizes(config: dict[str, Any], parameters: int, where: str) -> None:
    """Refuses a configuration that describes a far larger model than the weights hold, which would fill the memory."""
    sizes_given = {
        key: [config[name] for name in names if config.get(name) is not None] for key, names in SIZES.items()
    }
    # A list gives every layer its own size.
    sizes = {key: values[0] if values and not isinstance(values[0], list) else 1 for key, values in sizes_given.items()}
    if strange := [key for key, value in sizes.items() if not isinstance(value, int) or not 1 <= value < 2**31]:
        raise ModelError(f"{where} gives {sizes[strange[0]]!r} as its {strange[0]}; its config.json is damaged.")
    layers, width, vocabulary, inner = (sizes[key] for key in SIZES)
    # Factors above 1 leave room for models whose layers share weights or whose embeddings are factorised.
    if layers * width**2 > 64 * parameters or width * max(vocabulary, inner) > 4 * parameters:
        raise ModelError(
            f"{where} describes a model of {layers:,} layers of width {width:,}, but its weights hold only "
            f"{parameters:,} numbers; the files do not belong together."
        )


def context(config: dict[str, Any], tokenizer_config: dict[str, Any]) -> int | None:
    """Length of the context in tokens, None where the model has no limit of its own."""
    sizes = [config[key] for key in CONTEXT if isinstance(config.get(key), int) and config[key] > 0]
    if config.get("model_type") in RELATIVE and "n_positions" not in config:
        # Relative positions have no end; this is as far as the decoding loop goes with them.
        sizes.append(1024)
    smallest = min(sizes, default=None)
    if smallest and config.get("model_type") in ("roberta", "xlm-roberta", "camembert"):
        # These count positions from the padding token's id on, so that the first ones are never used.
        padding = config.get("pad_token_id")
        smallest -= (padding if isinstance(padding, int) and 0 <= padding < smallest - 1 else 1) + 1
    longest = tokenizer_config.get("model_max_length")
    return smallest or (int(longest) if isinstance(longest, int | float) and 0 < longest < NO_LIMIT else None)


def is_starter_template(folder: Path) -> bool:
    """Whether the chat template is the starter models' own, who learned chat as one task among many plain ones."""
    path = folder / "chat_template.jinja"
    return path.is_file() and path.stat().st_size < 1000 and path.read_bytes() == _starter_template()


@cache
def _starter_template() -> bytes:
    path = Path(__file__).resolve().parents[1] / "starter" / "weights" / "starter-causal" / "chat_template.jinja"
    return path.read_bytes() if path.is_file() else b""


def hashed_files(folder: Path, weights: tuple[Path, ...]) -> list[Path]:
    names = TOKENIZER_FILES | {"config.json", "adapter_config.json", f"{weights[0].stem}.safetensors.index.json"}
    others = (path for path in folder.iterdir() if path.name in names and path not in weights)
    return [*weights, *others, *pooling_files(folder)]


def _readme(folder: Path) -> tuple[str, str | None]:
    """(what the model card says first, licence)."""
    path = folder / "README.md"
    text = path.read_bytes()[:100_000].decode(errors="replace") if path.is_file() else ""
    front, body = _split(text)
    licence = _front_matter(front, "license")
    if licence == "other":
        licence = _front_matter(front, "license_name") or licence
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", body)]
    plain = [part for part in paragraphs if part and part[0] not in "#<|![-*`>"]
    about = plain[0] if plain else ""
    return about if len(about) <= 300 else about[:299].rsplit(" ", 1)[0] + "…", licence or _licence_file(folder)


def _split(text: str) -> tuple[str, str]:
    """(YAML front matter, the rest)."""
    match = re.match(r"\A---\r?\n(.*?)\r?\n---\r?\n(.*)\Z", text, re.DOTALL)
    return (match[1], match[2]) if match else ("", text)


def _front_matter(front: str, key: str) -> str | None:
    match = re.search(rf"^{key}:[ \t]*(?:\n[ \t]*-[ \t]*)?\[?[ \t]*['\"]?([\w.+ -]+)", front, re.MULTILINE)
    return match[1].strip()[:60] if match else None


def _licence_file(folder: Path) -> str | None:
    for path in sorted(folder.glob("LICEN[SC]E*")):
        if path.is_file():
            lines = path.read_bytes()[:2000].decode(errors="replace").split("\n")
            first = next((line.strip() for line in lines if line.strip()), "")
            if first.startswith("Permission is hereby granted") or "MIT" in first:
                return "MIT"
            licence = next((name for name in LICENCES if name in first), None)
            return licence or (first[:60] or None)
    return None


def joined_hash(*hashes: str | None) -> str:
    """One hash for content that lies in several folders, as an adapter's and its base's."""
    return hashlib.sha256("\n".join(part or "" for part in hashes).encode()).hexdigest()
