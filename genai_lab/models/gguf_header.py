"""The header of a GGUF file, read without trusting it: metadata and tensors with their places. Imports no torch.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little endian). Counts, lengths
and places are compared with the size of the file before anything of their size is read; whatever does not fit raises
ModelError in one sentence.
"""

import math
import mmap
import struct
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from genai_lab.errors import ModelError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
SUFFIX = ".gguf"
LONGEST_NAME = 256
LONGEST_KEY = 2**16
LONGEST_TEXT = 2**24
MOST_ENTRIES = 2**16
MOST_TENSORS = 2**17
# Entries of an array; the largest vocabularies have some 260,000.
LONGEST_ARRAY = 2**22
MOST_DIMENSIONS = 4
LARGEST_ALIGNMENT = 2**16
# struct formats of the types of metadata with a fixed size, by their number; 8 is text and 9 an array.
FIXED = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
TEXT, ARRAY = 8, 9
Value = bool | int | float | str | list[Any]


@dataclass(frozen=True)
class GgufTensor:
    """One tensor: `shape` in torch's order, `type` in GGML's spelling (F32, Q4_K...), its place in bytes."""

    name: str
    shape: tuple[int, ...]
    type: str
    offset: int
    bytes: int

    @property
    def numbers(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class GgufHeader:
    """What a file says of itself. Offsets of tensors count from the start of the file."""

    path: Path
    size: int
    metadata: dict[str, Value]
    tensors: tuple[GgufTensor, ...]

    @property
    def architecture(self) -> str:
        return self.text("general.architecture") or ""

    @property
    def parameters(self) -> int:
        return sum(tensor.numbers for tensor in self.tensors)

    @property
    def quantisation(self) -> str:
        """The type in which most of the numbers are stored."""
        numbers: Counter[str] = Counter()
        for tensor in self.tensors:
            numbers[tensor.type] += tensor.numbers
        return numbers.most_common(1)[0][0]

    @property
    def types(self) -> tuple[str, ...]:
        """All types of tensors in the file."""
        return tuple(sorted({tensor.type for tensor in self.tensors}))

    @property
    def context(self) -> int | None:
        return self.number(f"{self.architecture}.context_length")

    @property
    def licence(self) -> str | None:
        return self.text("general.license")

    @property
    def chat_template(self) -> str | None:
        return self.text("tokenizer.chat_template")

    def text(self, key: str) -> str | None:
        """A text of the metadata, None where there is none."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def number(self, key: str) -> int | None:
        """A whole number of the metadata, None where there is none."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def array(self, key: str) -> list[Any]:
        """An array of the metadata, empty where there is none."""
        value = self.metadata.get(key)
        return value if isinstance(value, list) else []


def read_header(path: Path) -> GgufHeader:
    """The header of the file at `path`; raises ModelError where it is damaged, cut off or no GGUF."""
    try:
        with path.open("rb") as stream:
            size = path.stat().st_size
            if size < 24 or stream.read(4) != MAGIC:
                raise ModelError(f"{path} is not a GGUF file; give one that ends in {SUFFIX}.")
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Reader(path, data, size).header()
    except OSError as problem:
        raise ModelError(f"{path} cannot be read ({problem.strerror}).") from None


@cache
def block_sizes() -> dict[int, tuple[str, int, int]]:
    """(name, numbers in a block, bytes of a block) of each type of tensor, by its number."""
    from gguf import GGML_QUANT_SIZES

    return {int(kind): (kind.name, *sizes) for kind, sizes in GGML_QUANT_SIZES.items()}


class _Reader:
    """Reads from the start to the end of the header; `position` is where the next value begins."""

    def __init__(self, path: Path, data: mmap.mmap, size: int) -> None:
        self.path, self.data, self.size, self.position = path, data, size, 4

    def header(self) -> GgufHeader:
        version = self.fixed("I")
        if version not in VERSIONS:
            swapped = int.from_bytes(int(version).to_bytes(4, "little"), "big") in VERSIONS
            what = "in big-endian order" if swapped else f"of GGUF version {version}"
            raise ModelError(f"{self.path} is {what}; only little-endian files of versions 2 and 3 can be read.")
        tensor_count, entry_count = self.count(MOST_TENSORS, 24, "tensors"), self.count(MOST_ENTRIES, 13, "entries")
        metadata: dict[str, Value] = {}
        for _ in range(entry_count):
            key = self.string(LONGEST_KEY)
            metadata[key] = self.value(self.fixed("I"))
        tensors = [self.tensor() for _ in range(tensor_count)]
        if not tensors:
            raise self.damaged("it holds no tensors")
        if not isinstance(metadata.get("general.architecture"), str):
            raise self.damaged("it does not name its architecture")
        return GgufHeader(self.path, self.size, metadata, self.placed(tensors, metadata.get("general.alignment", 32)))

    def placed(self, tensors: list[GgufTensor], alignment: Value) -> tuple[GgufTensor, ...]:
        """The tensors with offsets from the start of the file; refuses any that lies outside it or in another."""
        if not isinstance(alignment, int) or not 1 <= alignment <= LARGEST_ALIGNMENT:
            raise self.damaged("its alignment is none")
        start = -(-self.position // alignment) * alignment
        end = start
        placed = {}
        for tensor in sorted(tensors, key=lambda tensor: tensor.offset):
            begin = start + tensor.offset
            if begin < end or begin + tensor.bytes > self.size:
                raise self.damaged(f"tensor {tensor.name!r} lies outside the file or in another tensor")
            end = begin + tensor.bytes
            placed[tensor.name] = GgufTensor(tensor.name, tensor.shape, tensor.type, begin, tensor.bytes)
        if len(placed) < len(tensors):
            raise self.damaged("two of its tensors have one name")
        return tuple(placed.values())

    def tensor(self) -> GgufTensor:
        """One entry of the table of tensors, with its offset from where the data begin."""
        name = self.string(LONGEST_NAME)
        dimensions = self.fixed("I")
        if not 1 <= dimensions <= MOST_DIMENSIONS:
            raise self.damaged(f"tensor {name!r} has {dimensions} dimensions")
        shape = tuple(reversed([self.fixed("Q") for _ in range(dimensions)]))
        kind, offset = self.fixed("I"), self.fixed("Q")
        if kind not in block_sizes():
            raise ModelError(
                f"{self.path} holds tensors of a type ({kind}) that is not known here; choose another quantisation."
            )
        type_name, numbers, block_bytes = block_sizes()[kind]
        if min(shape) < 1 or shape[-1] % numbers:
            raise self.damaged(f"tensor {name!r} has a shape that {type_name} cannot have")
        return GgufTensor(name, shape, type_name, offset, math.prod(shape) // numbers * block_bytes)

    def value(self, kind: int) -> Value:
        if kind == TEXT:
            return self.string(LONGEST_TEXT)
        if kind != ARRAY:
            return self.fixed(self.format_of(kind))
        kind = self.fixed("I")
        if kind == TEXT:
            return [self.string(LONGEST_TEXT) for _ in range(self.count(LONGEST_ARRAY, 8, "texts"))]
        letter = self.format_of(kind)
        count = self.count(LONGEST_ARRAY, struct.calcsize(f"<{letter}"), "numbers")
        return list(self.unpack(f"{count}{letter}"))

    def format_of(self, kind: int) -> str:
        if kind not in FIXED:
            raise self.damaged(f"its metadata hold a value of type {kind}")
        return FIXED[kind]

    def string(self, longest: int) -> str:
        length = self.count(longest, 1, "characters")
        text = self.data[self.position : self.position + length]
        self.position += length
        return text.decode(errors="replace")

    def count(self, most: int, width: int, what: str) -> int:
        """How many of something follow, each of at least `width` bytes."""
        count = self.fixed("Q")
        if count > most or count * width > self.size - self.position:
            raise self.damaged(f"it promises {count:,} {what}, more than it can hold")
        return int(count)

    def fixed(self, letter: str) -> Any:
        return self.unpack(letter)[0]

    def unpack(self, letters: str) -> tuple[Any, ...]:
        layout = f"<{letters}"
        width = struct.calcsize(layout)
        if self.position + width > self.size:
            raise self.damaged("it is cut off")
        values = struct.unpack_from(layout, self.data, self.position)
        self.position += width
        return values

    def damaged(self, why: str) -> ModelError:
        return ModelError(f"{self.path} is damaged: {why}; download it again.")
