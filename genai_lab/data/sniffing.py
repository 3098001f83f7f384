"""What a text file is, told by its first bytes: its encoding, its separator, a first line that names one."""

import codecs
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from genai_lab.errors import BadSetting, LabError

LOOKED_AT = 256 * 1024
SEPARATORS = (",", ";", "\t", "|")
NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
HEADERS = ("", "yes", "no")
ENCODINGS = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "cp1252")
RECORDS = 50
# A cell of the first record that comes in this share of the others, of which there are so many, is no column's name.
REPEATED, FEWEST_BELOW = 0.05, 5
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
    one column or one row; `header` says whether the first line of a table names its columns ("": by the content).
    """

    encoding: str = ""
    separator: str = ""
    as_is: bool = False
    header: str = ""

    def __post_init__(self) -> None:
        if self.encoding and self.encoding not in ENCODINGS:
            raise BadSetting("encoding", self.encoding, f"one of {', '.join(ENCODINGS)}")
        if self.separator and (len(self.separator) != 1 or self.separator in '"\r\n'):
            raise BadSetting("separator", self.separator, "one character, such as ; or |")
        if self.header not in HEADERS:
            raise BadSetting("header", self.header, "yes, no, or nothing for what the content tells")


@dataclass(frozen=True)
class Layout:
    """A delimited file's separator, and whether a first line `sep=` names it and is no data; whether quotation marks
    enclose cells, and whether the first line names the columns.
    """

    separator: str
    named: bool = False
    quoted: bool = True
    header: bool = True


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


def format_of(stream: IO[str]) -> str:
    """The format of a text whose name does not tell it: ".jsonl", ".tsv", ".csv" or ".txt"; leaves the stream at its
    beginning.
    """
    head = stream.read(LOOKED_AT)
    stream.seek(0)
    if head.lstrip("\ufeff \t\r\n").startswith(("{", "[")):
        return ".jsonl"
    records = _lines_of(head, len(head) < LOOKED_AT)
    for separator, suffix in (("\t", ".tsv"), (",", ".csv")):
        if len(records) > 1 and len({line.count(separator) for line in records}) == 1 and separator in records[0]:
            return suffix
    return ".txt"


def layout_of(stream: IO[str], default: str, options: FileOptions) -> Layout:
    """The separator of a delimited file and how its cells stand; leaves the stream where the first record begins."""
    head = stream.read(LOOKED_AT)
    stream.seek(0)
    is_complete = len(head) < LOOKED_AT
    first = head.lstrip("\ufeff").partition("\n")[0].strip("\r\n").strip('"')
    if first.lower().startswith("sep=") and len(first) == 5:
        stream.readline()
        return Layout(options.separator or first[4], named=True)
    separator = options.separator or _separator_of(head, default, is_complete)
    lines = _lines_of(head, is_complete)
    quoted = separator != "\t" or not _has_lone_quotes(lines)
    header = options.header == "yes" or (options.header != "no" and not _starts_with_data(lines, separator, quoted))
    return Layout(separator, quoted=quoted, header=header)


def _separator_of(head: str, default: str, is_complete: bool) -> str:
    scores = {separator: _consistency(head, separator, is_complete) for separator in SEPARATORS}
    best = max(SEPARATORS, key=lambda separator: (round(scores[separator], 2), separator == default))
    # The usual separator stays unless it fails most rows, so that its bad rows are named.
    return best if scores[best] > 0.9 and scores[default] < 0.5 else default


def _lines_of(head: str, is_complete: bool) -> list[str]:
    """The whole lines of a head that are not empty."""
    lines = head.lstrip("\ufeff").split("\n")
    return [line.rstrip("\r") for line in (lines if is_complete else lines[:-1]) if line.strip("\r")]


def _has_lone_quotes(lines: Sequence[str]) -> bool:
    """Whether quotation marks in a tab-separated text are part of its cells: every line has the same number of cells,
    but quoting, taken at its word, would make other records of them.
    """
    if len({line.count("\t") for line in lines}) != 1 or not any('"' in line for line in lines):
        return False
    try:
        records = list(csv.reader(lines, delimiter="\t", strict=True))
    except csv.Error:
        return True
    return len(records) != len(lines)


def _starts_with_data(lines: Sequence[str], separator: str, quoted: bool) -> bool:
    """Whether the first record is a row: one of its cells comes again and again below it, as no column's name does."""
    reader = csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
    try:
        first, *others = reader
    except (csv.Error, ValueError):
        return False
    if len(first) < 2 or len(others) < FEWEST_BELOW:
        return False
    for index, cell in enumerate(first):
        again = sum(len(other) > index and other[index] == cell for other in others)
        if cell.strip() and again >= max(2, REPEATED * len(others)):
            return True
    return False


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
