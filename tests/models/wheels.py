"""Small wheels on this machine, which pip finds by its own settings, and entries of the shelf that are in them."""

import hashlib
import zipfile
from pathlib import Path

from genai_lab.models.shelf import ShelfEntry, WheelOrigin

# What pip is told so that it looks nowhere but in a folder.
NO_INDEX = {"PIP_NO_INDEX": "1", "PIP_EXTRA_INDEX_URL": "", "PIP_CONFIG_FILE": "/dev/null"}


def write_wheel(folder: Path, package: str, files: dict[str, bytes], version: str = "1.0") -> Path:
    """A wheel with these files; code in it would fail whatever ran it."""
    stem = f"{package.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    content = {
        f"{package.replace('-', '_')}/__init__.py": b"raise SystemExit('run')\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **files,
    }
    record = "".join(f"{name},,\n" for name in [*content, f"{info}/RECORD"])
    path = folder / f"{stem}-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in {**content, f"{info}/RECORD": record.encode()}.items():
            wheel.writestr(name, data)
    return path


def gguf_entry(wheels: Path, gguf: Path, name: str = "Tiny-Chat", package: str = "tiny-chat-model") -> ShelfEntry:
    """An entry whose GGUF file lies in a new wheel in the folder `wheels`."""
    member = f"{package.replace('-', '_')}/{gguf.name}"
    wheel = write_wheel(wheels, package, {member: gguf.read_bytes()})
    return ShelfEntry(
        name, "Chat in a few letters.", "generate", 20_000, 90_000, "Apache-2.0",
        (origin_of(wheel, package, member, gguf.read_bytes()),),
    )  # fmt: skip


def origin_of(wheel: Path, package: str, member: str, content: bytes) -> WheelOrigin:
    return WheelOrigin(
        package, "1.0", hashlib.sha256(wheel.read_bytes()).hexdigest(), wheel.stat().st_size, member,
        hashlib.sha256(content).hexdigest(), len(content), "zip" if member.endswith(".zip") else "gguf",
    )  # fmt: skip
