"""The header of a GGUF file: what it says, and each way in which one can be damaged or hostile."""

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from genai_lab.errors import ModelError
from genai_lab.models.gguf_header import read_header
from tests.models.gguf_files import entry_bytes, header_bytes, tensor_bytes, text_bytes, write_gguf
from tests.tiny import random_model

ARCHITECTURE = entry_bytes("general.architecture", "llama")
ENDLESS = struct.pack("<Q", 2**60)
DAMAGED = {
    "nothing": b"",
    "text": b"a text, and no weights at all",
    "magic alone": b"GGUF",
    "version 1": header_bytes(1, remainder=ARCHITECTURE),
    "big endian": b"GGUF" + struct.pack(">IQQ", 3, 1, 1) + ARCHITECTURE,
    "endless tensors": header_bytes(tensors=2**60, remainder=ARCHITECTURE),
    "endless entries": header_bytes(entries=2**63, remainder=ARCHITECTURE),
    "endless key": header_bytes(remainder=ENDLESS + bytes(100)),
    "endless text": header_bytes(remainder=text_bytes("key") + struct.pack("<I", 8) + ENDLESS + bytes(100)),
    "endless array": header_bytes(remainder=text_bytes("key") + struct.pack("<II", 9, 4) + ENDLESS + bytes(100)),
    "endless texts": header_bytes(remainder=text_bytes("key") + struct.pack("<II", 9, 8) + ENDLESS + bytes(100)),
    "nested arrays": header_bytes(remainder=text_bytes("key") + struct.pack("<IIQ", 9, 9, 1) + bytes(100)),
    "unknown value": header_bytes(remainder=text_bytes("key") + struct.pack("<I", 77) + bytes(100)),
    "cut in an entry": header_bytes(remainder=ARCHITECTURE[:-2]),
    "no architecture": header_bytes(remainder=entry_bytes("general.name", "x") + tensor_bytes() + bytes(256)),
    "no tensors": header_bytes(tensors=0, remainder=ARCHITECTURE + bytes(64)),
    "many dimensions": header_bytes(remainder=ARCHITECTURE + tensor_bytes(shape=(1,) * 9) + bytes(256)),
    "empty dimension": header_bytes(remainder=ARCHITECTURE + tensor_bytes(shape=(0,)) + bytes(256)),
    "half a block": header_bytes(remainder=ARCHITECTURE + tensor_bytes(shape=(33,), kind=8) + bytes(256)),
    "unknown type": header_bytes(remainder=ARCHITECTURE + tensor_bytes(kind=999) + bytes(256)),
    "endless tensor": header_bytes(remainder=ARCHITECTURE + tensor_bytes(shape=(2**40, 2**22)) + bytes(256)),
    "outside": header_bytes(remainder=ARCHITECTURE + tensor_bytes(offset=2**40) + bytes(256)),
    "in one another": header_bytes(tensors=2, remainder=ARCHITECTURE + tensor_bytes() + tensor_bytes("b") + bytes(512)),
    "one name": header_bytes(
        tensors=2, remainder=ARCHITECTURE + tensor_bytes() + tensor_bytes(offset=128) + bytes(512)
    ),
    "no alignment": header_bytes(
        entries=2,
        remainder=ARCHITECTURE
        + text_bytes("general.alignment")
        + struct.pack("<II", 4, 0)
        + tensor_bytes()
        + bytes(256),
    ),
}


@pytest.fixture(scope="module")
def full_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gguf")
    return write_gguf(random_model(folder / "tiny", chat=True), folder / "tiny.gguf", "Q8_0")


def test_a_header_tells_what_the_file_holds(full_file: Path) -> None:
    header = read_header(full_file)
    assert (header.architecture, header.context, header.licence) == ("llama", 512, "apache-2.0")
    assert (header.quantisation, header.types) == ("Q8_0", ("F32", "Q8_0"))
    assert "<assistant>" in (header.chat_template or "")
    assert header.metadata["llama.embedding_length"] == 32
    tensor = next(tensor for tensor in header.tensors if tensor.name == "blk.0.ffn_down.weight")
    assert tensor.shape == (32, 64)
    assert tensor.bytes == 32 * 64 // 32 * 34
    assert max(tensor.offset + tensor.bytes for tensor in header.tensors) <= header.size


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_or_hostile_header_is_refused_in_one_sentence(case: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(DAMAGED[case])
    with pytest.raises(ModelError) as problem:
        read_header(path)
    assert str(problem.value).startswith(str(path))
    assert str(problem.value).count(". ") == 0


def test_a_file_that_is_cut_off_anywhere_is_refused(full_file: Path, tmp_path: Path) -> None:
    content, path = full_file.read_bytes(), tmp_path / "cut.gguf"
    for length in [*range(0, 4000, 97), len(content) // 2, len(content) - 64]:
        path.write_bytes(content[:length])
        with pytest.raises(ModelError):
            read_header(path)


def test_a_header_is_read_without_torch(full_file: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from genai_lab.models.gguf_header import read_header; "
        f"read_header(Path({str(full_file)!r})); assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
