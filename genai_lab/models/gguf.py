"""A GGUF file on this machine, decoded by llama.cpp where its wheel is installed."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from genai_lab.errors import ModelError
from genai_lab.files import write_json
from genai_lab.models import BACKENDS, Backend, Card, Generator, Options, Source, SourceField
from genai_lab.models.chat import check_template
from genai_lab.models.checks import existing_file, file_within
from genai_lab.models.gguf_header import SUFFIX, GgufHeader, read_header
from genai_lab.models.gguf_slots import CELLS
from genai_lab.models.gguf_vocabulary import GgufVocabulary
from genai_lab.models.inspect import hash_of
from genai_lab.models.llama_server import PACKAGE, first_error, is_installed, require_installed
from genai_lab.models.scorer import Scorer

# llama.cpp's names of architectures that read texts without writing any, or that it cannot write with here.
NOT_WRITING = ("bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "modern-bert", "t5", "t5encoder",
               "clip", "wavtokenizer-dec", "llava", "gemma-embedding")  # fmt: skip
# Bytes of code and scratch beside file, keys and values; measured by `python -m benchmarks.gguf`.
SCRATCH = 40_000_000
# A key or value takes two bytes in llama.cpp's cache.
WIDTH = 2
# Seconds in which a file must be loaded and write a token: so many, and as many as reading it slowly takes.
SECONDS, BYTES_A_SECOND = 60.0, 20_000_000
MOST_LISTED, DEPTH = 200, 3
# Where the data home keeps which files have been tried out.
TRIED = "gguf-tried.json"


class Gguf(Backend):
    name = "gguf"
    title = "GGUF file"
    precedence = 35
    fields = (
        SourceField(
            "location", "File", help="Ends in .gguf; choose one or type its path", required=True, kind="path",
        ),
    )  # fmt: skip

    def detect(self, text: str, options: Options) -> Source | None:
        path = existing_file(text) if text.lower().endswith(SUFFIX) else None
        return Source(self.name, str(path)) if path is not None else None

    def suggestions(self, options: Options) -> list[str]:
        found = [path for root in options.roots if root.is_dir() for path in _files_below(root)]
        return [str(path) for path in found[:MOST_LISTED]]

    def inspect(self, source: Source, name: str, options: Options) -> Card:
        """The card from the checked header, after llama.cpp has written a token with the file in another process."""
        path = file_within(source.location, options.roots)
        header = read_header(path)
        check_writes(header)
        GgufVocabulary(header)
        _try_out(path, name, options)
        return card_of(header, source, name, options)

    def load(self, card: Card, options: Options, base: Generator | None = None) -> Generator:
        from genai_lab.models.gguf_generator import GgufGenerator

        require_installed(card.name)
        path = file_within(card.source.location, options.roots)
        header = read_header(path)
        check_writes(header)
        _try_out(path, card.name, options)
        return GgufGenerator(card, GgufVocabulary(header))

    def load_scorer(self, card: Card, options: Options) -> Scorer:
        card.require_torch("the log-probability of a given text")
        return super().load_scorer(card, options)

    def pretrained_arguments(self, card: Card) -> tuple[str, str | None] | None:
        return None


def card_of(header: GgufHeader, source: Source, name: str, options: Options) -> Card:
    """Raises ModelError for a chat template without bounds."""
    trained = header.context or CELLS
    template, about = header.chat_template, f"{header.quantisation} for llama.cpp."
    if template and (unreadable := check_template(template, header.path)):
        template, about = None, f"Completion only: its chat template {unreadable}. {about}"
    context = min(trained, CELLS)
    if context < trained:
        about += f" Reads {context:,} of the {trained:,} tokens that it was trained for."
    cache = cache_bytes(header)
    return Card(
        name=name,
        source=source,
        role="generate",
        family="decoder-only",
        architecture=header.architecture,
        parameters=header.parameters,
        dtype=header.quantisation,
        loaded_dtype=header.quantisation,
        disk_bytes=header.size,
        memory_bytes=header.size + cache + SCRATCH,
        cache_bytes=cache,
        context=context,
        licence=header.licence,
        content_hash=hash_of([header.path], header.path.parent, options),
        chat=bool(template),
        path=header.path,
        about=about,
        engine="llama.cpp",
    )


def cache_bytes(header: GgufHeader) -> int:
    """Keys and values of all slots together, which llama.cpp takes when it loads the file."""
    prefix = header.architecture
    layers, width = header.number(f"{prefix}.block_count") or 0, header.number(f"{prefix}.embedding_length") or 0
    heads = header.number(f"{prefix}.attention.head_count") or 1
    per_layer = header.array(f"{prefix}.attention.head_count_kv")
    kv_heads = sum(map(int, per_layer)) if per_layer else layers * (
        header.number(f"{prefix}.attention.head_count_kv") or heads
    )  # fmt: skip
    key = header.number(f"{prefix}.attention.key_length") or width // heads
    value = header.number(f"{prefix}.attention.value_length") or width // heads
    return kv_heads * (key + value) * WIDTH * CELLS


def check_writes(header: GgufHeader) -> None:
    """Raises ModelError for a file that cannot generate, or that is a part of one."""
    if header.architecture in NOT_WRITING or header.text("general.type") in ("adapter", "mmproj"):
        what = header.text("general.type") if header.architecture == "" else header.architecture
        raise ModelError(
            f"{header.path} is of the kind {what}, which does not write text in llama.cpp; choose another."
        )
    if (header.number("split.count") or 1) > 1:
        raise ModelError(f"{header.path} is one part of several; join them with llama-gguf-split and give the result.")


_tried: set[str] = set()


def _try_out(path: Path, name: str, options: Options) -> None:
    """Lets llama.cpp load the file in a process of its own, once as long as file and llama.cpp stay the same: a file
    that only looks right can end the process that loads it. Does nothing where llama.cpp is not installed.
    """
    if not is_installed():
        return
    stat = path.stat()
    key = f"{path} {stat.st_size} {stat.st_mtime_ns} {stat.st_ino} {metadata.version(PACKAGE)}"
    store = options.hashes.with_name(TRIED) if options.hashes is not None else None
    if key in _tried or key in _stored(store):
        return
    command = [sys.executable, "-m", "genai_lab.models.llama_server", str(path)]
    seconds = SECONDS + stat.st_size / BYTES_A_SECOND
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise ModelError(f"{name} cannot be used: llama.cpp had not loaded it after {seconds:.0f} s.") from None
    if done.returncode < 0:
        raise ModelError(
            f"{name} cannot be used: llama.cpp is ended by it (signal {-done.returncode}); download it again."
        )
    if done.returncode or '"problem": ""' not in done.stdout:
        why = first_error(done.stderr) or "its own words are missing"
        raise ModelError(f"{name} cannot be used: llama.cpp refuses it ({why}); choose another file.")
    _tried.add(key)
    if store is not None:
        with suppress(OSError):
            write_json(store, [*_stored(store), key])


def _stored(store: Path | None) -> list[str]:
    """What has been tried out before, in this process or another; [] where the file cannot be read."""
    try:
        return [str(key) for key in json.loads(store.read_text())] if store is not None else []
    except (OSError, ValueError, TypeError):
        return []


def _files_below(root: Path) -> list[Path]:
    """GGUF files at most some folders below `root`."""
    found: list[Path] = []
    for folder, folders, files in os.walk(root):
        depth = len(Path(folder).relative_to(root).parts)
        folders[:] = [] if depth >= DEPTH else sorted(name for name in folders if not name.startswith("."))
        found += [Path(folder) / name for name in sorted(files) if name.lower().endswith(SUFFIX)]
        if len(found) >= MOST_LISTED:
            break
    return found


BACKENDS.register("gguf")(Gguf())
