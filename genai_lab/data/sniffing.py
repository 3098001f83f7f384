"""What a text file is, told by its first bytes: its encoding, its separator, a first line that names one."""

import codecs
import csv
from dataclasses import dataclass
from typing import IO

from genai_lab.errors import BadSetting, LabError

LOOKED_AT = 256 * 1024
SEPARATORS = (",", ";", "\t", "|")
NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
ENCODINGS = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "cp1252")
RECORDS = 50
BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
# Of text in UTF-16 that is mostly Latin, nearly every second byte is zero.
ZEROS = 0.4


class NeedsChoice(LabError):
    """The file can be read in a way that must be confirmed first: `option` of FileOptions set to `value`.

    `action` is the button or option in words.
    """

    def __init__(self, sentence: str, option: str, value: str | bool, action: str) -> None:
        super().__init__(sentence)
        self.sentence, self.option, self.value, self.action = sentence, option, value, action


@dataclass(frozen=True)
class FileOptions:
    """How a file is to be read where its content does not tell, or was told wrong. `as_is` confirms that all of it is
    one column or one row.
    """

    encoding: str = ""
    separator: str = ""
    as_is: bool = False

    def __post_init__(self) -> None:
        if self.encoding and self.encoding not in ENCODINGS:
            raise BadSetting("encoding", self.encoding, f"one of {', '.join(ENCODINGS)}")
        if self.separator and (len(self.separator) != 1 or self.separator in '"\r\n'):
            raise BadSetting("separator", self.separator, "one character, such as ; or |")


@dataclass(frozen=True)
class Layout:
    """A delimited file's separator, and whether a first line `sep=` names it and is no data."""

    separator: str
    named: bool = False


def encoding_of(head: bytes, options: FileOptions) -> str:
    """The encoding by the byte order mark, or by zeros that only UTF-16 has; otherwise UTF-8."""
    if options.encoding:
        return "utf-8-sig" if options.encoding == "utf-8" else options.encoding
    for mark, name in BOMS:
        if head.startswith(mark):
            return name
    pairs = len(head) // 2
    if pairs >= 4:
        even, odd = (sum(byte == 0 for byte in head[start : 2 * pairs : 2]) / pairs for start in (0, 1))
        if odd > ZEROS and even < ZEROS / 4:
            return "utf-16-le"
        if even > ZEROS and odd < ZEROS / 4:
            return "utf-16-be"
    return "utf-8-sig"


def no_text(problem: UnicodeDecodeError, encoding: str) -> LabError:
    """What to say of bytes that are not in the encoding; Windows' own is offered, and never taken unasked."""
    byte = f"it holds the byte {problem.object[problem.start]:#04x}"
    if not encoding.startswith("utf-8") or b"\x00" in problem.object[:4096]:
        name = encoding.removesuffix("-sig").upper()
        return LabError(f"The file is not {name} text ({byte}); save it as UTF-8.")
    return NeedsChoice(
        f"The file is not UTF-8 text ({byte}); save it as UTF-8, or read it in the Windows encoding cp1252.",
        "encoding",
        "cp1252",
        "Read as Windows-1252",
    )


def layout_of(stream: IO[str], default: str, options: FileOptions) -> Layout:
    """The separator of a delimited file; leaves the stream where the header begins."""
    head = stream.read(LOOKED_AT)
    stream.seek(0)
    first = head.lstrip("\ufeff").partition("\n")[0].strip("\r\n").strip('"')
    if first.lower().startswith("sep=") and len(first) == 5:
        stream.readline()
        return Layout(options.separator or first[4], named=True)
    if options.separator:
        return Layout(options.separator)
    is_complete = len(head) < LOOKED_AT
    scores = {separator: _consistency(head, separator, is_complete) for separator in SEPARATORS}
    best = max(SEPARATORS, key=lambda separator: (round(scores[separator], 2), separator == default))
    # The usual separator stays unless it fails most rows, so that its bad rows are named.
    return Layout(best if scores[best] > 0.9 and scores[default] < 0.5 else default)


def _consistency(head: str, separator: str, is_complete: bool) -> float:
    """The share of the first records with as many cells as the header; 0 where the header is one cell."""
    lines = head.splitlines(keepends=True)
    reader = csv.reader(lines if is_complete else lines[:-1], delimiter=separator)
    sizes = []
    try:
        for record in reader:
            if record:
                sizes.append(len(record))
            if len(sizes) > RECORDS:
                break
    except csv.Error:
        pass
    if not sizes or sizes[0] < 2:
        return 0.0
    return sum(size == sizes[0] for size in sizes[1:]) / len(sizes[1:]) if len(sizes) > 1 else 1.0
