"""Reading a model's folder without trusting it: paths, JSON, safetensors headers. Nothing here imports torch.

Every function raises ModelError in one sentence for what it refuses.
"""

import json
import math
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from genai_lab.errors import ModelError

LONGEST_JSON = 20 * 2**20
LONGEST_HEADER = 100 * 2**20
SPARE_DISK = 100 * 2**20  # bytes that stay free on the disk
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
KEY_NAME = re.compile(r"[A-Z][A-Z0-9_]*(KEY|TOKEN)", re.IGNORECASE)
WIDTHS = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2,
    "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip
DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@dataclass(frozen=True)
class Tensor:
    """One entry of a safetensors header; `dtype` in its spelling (F32, BF16, ...)."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def numbers(self) -> int:
        return math.prod(self.shape)


def check_disk(target: Path, needed: int, what: str) -> None:
    """Raises ModelError where the disk of `target`, which need not be there yet, lacks `needed` bytes for `what`."""
    folder = next(path for path in target.parents if path.exists())
    free = shutil.disk_usage(folder).free
    if needed + SPARE_DISK > free:
        raise ModelError(
            f"{what} needs {size_text(needed)} more on disk, but only {size_text(free)} are free at {folder}; make "
            "room first."
        )


def size_text(count: int) -> str:
    """Bytes for people: 16.4 MB."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def folder_within(location: str, roots: Sequence[Path]) -> Path:
    """The real folder behind `location`, links followed; it must lie in one of `roots`."""
    if not location.strip():
        raise ModelError("The path is empty; give the folder that holds config.json and the safetensors files.")
    if "\0" in location:
        raise ModelError("The path holds a zero character; type it again.")
    try:
        path = Path(location).expanduser().resolve()
    except (OSError, RuntimeError) as problem:
        raise ModelError(f"The path {location[:200]!r} cannot be followed ({problem}).") from None
    if not _inside(path, roots):
        allowed = " or ".join(map(str, roots)) or "nowhere: set GENAI_LAB_MODEL_ROOTS"
        raise ModelError(f"{path} lies outside the folders that models may come from ({allowed}).")
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise ModelError(f"{path} {what}; give the folder that holds config.json and the safetensors files.")
    return path


def existing_file(text: str) -> Path | None:
    """The file that a user's text names; None where there is none."""
    try:
        path = Path(text).expanduser().resolve()
        return path if path.is_file() else None
    except (OSError, RuntimeError, ValueError):
        return None


def file_within(location: str, roots: Sequence[Path]) -> Path:
    """The real file behind `location`, links followed; it must lie in one of `roots`."""
    path = existing_file(location)
    if path is None:
        raise ModelError(f"There is no file {location[:200]!r}; give the path of one.")
    folder_within(str(path.parent), roots)
    return path


def existing_folder(text: str) -> Path | None:
    """The folder that a user's text names, as it is found from anywhere; None where there is none."""
    try:
        path = Path(text).expanduser().resolve()
        return path if path.is_dir() else None
    except (OSError, RuntimeError, ValueError) as problem:
        raise ModelError(f"The path {text[:200]!r} cannot be followed ({problem}); give another.") from None


def check_links(folder: Path, roots: Sequence[Path]) -> None:
    """Refuses a folder whose files are links to places outside `roots`."""
    for path in _files(folder):
        if not _inside(path.resolve(), [*roots, folder]):
            raise ModelError(f"{path} is a link to a place outside the allowed folders; copy the file instead.")


def _inside(path: Path, roots: Iterable[Path]) -> bool:
    return any(path.is_relative_to(Path(root).expanduser().resolve()) for root in roots)


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_symlink() or path.is_file())
    except OSError as problem:
        raise ModelError(f"{folder} cannot be read ({problem.strerror}).") from None


def read_json(path: Path, limit: int = LONGEST_JSON) -> dict[str, Any]:
    """A JSON object from a file of at most `limit` bytes; NaN and Infinity are refused."""
    try:
        if path.stat().st_size > limit:
            raise ModelError(f"{path} is larger than {size_text(limit)}, too large to be what its name says.")
        return parse_object(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise ModelError(f"{path.parent} has no {path.name}; it is not a complete model folder.") from None
    except OSError as problem:
        raise ModelError(f"{path} cannot be read ({problem.strerror}).") from None
    except UnicodeDecodeError:
        raise ModelError(f"{path} is not UTF-8 text; download or save it again.") from None


def parse_object(text: str | bytes, where: str, advice: str = "download or save it again") -> dict[str, Any]:
    """The JSON object in `text`; the error names its place and what to do."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise ModelError(f"{where} is not valid JSON; {advice}.") from None
    if not isinstance(value, dict):
        raise ModelError(f"{where} holds a JSON {type(value).__name__} where an object is needed; {advice}.")
    escape = b"\\ud" if isinstance(text, bytes) else "\\ud"
    return without_halves(value) if escape in text.lower() else value  # type: ignore[operator]


def without_halves(value: dict[str, Any]) -> dict[str, Any]:
    """JSON can hold half a character, which nothing else takes (databases, browsers); U+FFFD stands for it."""
    text = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    document: dict[str, Any] = json.loads(text)
    return document


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def safetensors_header(path: Path) -> tuple[Tensor, ...]:
    """The tensors that the file says it holds, checked against its size (format: 8-byte length, JSON, data)."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if size < 8 or length > min(LONGEST_HEADER, size - 8):
                raise _corrupt(path, "its header is cut off")
            header = parse_object(stream.read(length), f"The header of {path}")
    except OSError as problem:
        raise ModelError(f"{path} cannot be read ({problem.strerror}).") from None
    header.pop("__metadata__", None)
    end, tensors = 0, []
    for name, entry in sorted(header.items(), key=_offset):
        try:
            begin, stop = entry["data_offsets"]
            tensor = Tensor(name, entry["dtype"], tuple(int(n) for n in entry["shape"]))
            fits = begin == end and stop - begin == tensor.numbers * WIDTHS[tensor.dtype]
        except (KeyError, TypeError, ValueError):
            raise _corrupt(path, f"the entry of tensor {name!r} cannot be read") from None
        if not fits:
            raise _corrupt(path, f"tensor {name!r} does not lie where the header says")
        end = stop
        tensors.append(tensor)
    if 8 + length + end != size:
        raise _corrupt(path, f"it has {size:,} bytes and its header promises {8 + length + end:,}")
    return tuple(tensors)


def _offset(item: tuple[str, Any]) -> int:
    try:
        return int(item[1]["data_offsets"][0])
    except (KeyError, TypeError, ValueError, IndexError):
        return -1


def _corrupt(path: Path, why: str) -> ModelError:
    return ModelError(f"{path} is damaged: {why}; download or save it again.")


def weight_files(folder: Path, stem: str = "model") -> tuple[Path, ...]:
    """The safetensors files that hold the weights: one file, or the shards that the index names, all of them there."""
    names = [path.name for path in _files(folder)]
    single, index = f"{stem}.safetensors", f"{stem}.safetensors.index.json"
    if index in names:
        return _shards(folder, index)
    if single in names:
        return (folder / single,)
    parts = [name for name in names if name.endswith((".incomplete", ".part", ".crdownload"))]
    numbered = [name for name in names if name.startswith(f"{stem}-") and name.endswith(".safetensors")]
    if parts or numbered or _incomplete_blobs(folder):
        what = f"has {numbered[0]} without {index}" if numbered else "holds an unfinished download and no weights"
        raise ModelError(f"{folder} is only half there: it {what}; finish the download.")
    if pickled := [name for name in names if name.endswith(PICKLED)]:
        raise ModelError(
            f"{folder} holds its weights as {pickled[0]}, a pickle, which can run code when it is read; convert it to "
            "safetensors (save_pretrained does) and add that folder."
        )
    raise ModelError(f"{folder} has no {single}; it is not a complete model folder.")


def _shards(folder: Path, index: str) -> tuple[Path, ...]:
    table = read_json(folder / index).get("weight_map")
    if not isinstance(table, dict) or not table or not all(isinstance(name, str) for name in table.values()):
        raise ModelError(f"{folder / index} has no usable weight_map; download or save it again.")
    shards = sorted(set(table.values()))
    if strange := [name for name in shards if os.path.basename(name) != name or not name.endswith(".safetensors")]:
        raise ModelError(f"{folder / index} names {strange[0]!r}, which is not a safetensors file of this folder.")
    if missing := [name for name in shards if not (folder / name).is_file()]:
        raise ModelError(
            f"{folder} is only half there: {missing[0]} is missing ({len(missing)} of {len(shards)} files); finish the "
            "download."
        )
    return tuple(folder / name for name in shards)


def _incomplete_blobs(folder: Path) -> bool:
    """A snapshot of the Hub's own cache lies beside `blobs`, where its unfinished files end in .incomplete."""
    blobs = folder.parent.parent / "blobs"
    return folder.parent.name == "snapshots" and blobs.is_dir() and any(blobs.glob("*.incomplete"))


def bearer(variable: str | None) -> dict[str, str]:
    """The key that the named environment variable holds, as a header; {} without a name.

    Only variables that are named like keys are read, so that no other one can be sent to a foreign server.
    """
    if not variable:
        return {}
    if not KEY_NAME.fullmatch(variable):
        raise ModelError(
            f"{variable[:60]!r} cannot name a key variable; it must end in KEY or TOKEN, as HF_TOKEN does."
        )
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ModelError(f"The environment variable {variable} is not set; set it to the key and start the lab again.")
    if not key.isascii() or not key.isprintable():
        raise ModelError(f"The environment variable {variable} holds characters that no key has; set it again.")
    return {"Authorization": f"Bearer {key}"}
