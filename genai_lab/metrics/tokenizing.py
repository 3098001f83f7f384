"""How a text is cut into words: by Unicode, and by characters where a script is written without spaces.

Python's `\\w` is no word: it leaves out combining marks, so that Hindi, Thai and decomposed accents fall apart.
"""

import re
import string
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import chain

Span = tuple[int, int]
# Scripts that set no space between words: Thai, Lao, Myanmar, Khmer, Tai, Kana, Bopomofo, Han, Yi and their extensions.
UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aad\u2e80-\u2fdf\u3005-\u3007"
    "\u3021-\u303c\u3041-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uaa60-\uaadf"
    "\uf900-\ufaff\uff66-\uff9f\U0001b000-\U0001b16f\U00020000-\U000323af"
)
HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
KANA = "\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f"
SKIN = "\U0001f3fb-\U0001f3ff"
FOREIGN_SHARE = 0.02
ENGLISH = frozenset(("the", "of", "and", "to", "is", "that", "with", "for", "was"))
ENGLISH_SHARE, MIXED_SHARE = 0.05, 0.2
MOSTLY = 0.5


def normal(text: str) -> str:
    """Composed letters (NFC), without case."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def compose_characters(texts: Iterable[str]) -> list[str]:
    """The texts in NFC, in which a letter and its accent are one character."""
    return [unicodedata.normalize("NFC", text) for text in texts]


def words(text: str) -> list[str]:
    """Runs of letters, marks and digits; characters of scripts without spaces; emoji and other symbols."""
    return _patterns()["words"].findall(normal(text))


def characters(text: str) -> list[str]:
    """Every letter, digit and symbol with its marks; neither spaces nor punctuation."""
    return _patterns()["characters"].findall(normal(text))


def separate_words(text: str) -> list[str]:
    """What stands between spaces; characters of scripts without spaces, each with the punctuation beside it."""
    return _patterns()["spaced"].findall(unicodedata.normalize("NFC", text))


def word_spans(text: str) -> list[Span]:
    """Where each of the text's `words` stands in it."""
    return [match.span() for match in _patterns()["words"].finditer(text)]


def without_punctuation(text: str) -> str:
    """Without the characters of Unicode class P, and without ASCII's other marks such as $ and +."""
    return text.translate(_punctuation())


def is_foreign(texts: Sequence[str]) -> bool:
    """Whether a-z and 0-9 cannot spell the texts: more than a few words have other letters, and they are not English.

    Emoji count where nothing else is there.
    """
    tokens = list(chain.from_iterable(words(text) for text in texts))
    spelt = [word for word in tokens if any(letter.isalnum() for letter in word)]
    if not spelt:
        return bool(tokens)
    foreign = sum(not word.isascii() for word in spelt) / len(spelt)
    english = sum(word in ENGLISH for word in spelt) / len(spelt)
    return foreign > FOREIGN_SHARE and not (english >= ENGLISH_SHARE and foreign <= MIXED_SHARE)


def unspaced_share(texts: Sequence[str]) -> float:
    """The share of letters and digits that are of a script without spaces."""
    return _count(UNSPACED, texts) / max(1, sum(letter.isalnum() for text in texts for letter in text))


def is_chinese(texts: Sequence[str]) -> bool:
    """Whether what is written without spaces is mostly Han, with hardly any Kana."""
    han = _count(HAN, texts)
    return han > MOSTLY * _count(UNSPACED, texts) and _count(KANA, texts) < FOREIGN_SHARE * han


def _count(letters: str, texts: Sequence[str]) -> int:
    return sum(len(run) for text in texts for run in _runs(letters).findall(text))


def is_mostly_dropped(text: str, remaining: str) -> bool:
    """Whether `kept`, the tokens joined, holds less than half of the text's letters, digits and symbols."""
    length = sum(len(word) for word in words(text))
    return length > 0 and sum(not letter.isspace() for letter in remaining) < MOSTLY * length


def dropped_warning(rows: Sequence[int], total: int, what: str, advice: str) -> list[str]:
    """The sentence for rows (from 0) of whose words most are not read; nothing where there are none."""
    if not rows:
        return []
    which = (
        f"of row {rows[0] + 1}" if len(rows) == 1 else f"of {len(rows):,} of {total:,} rows (the first: {rows[0] + 1})"
    )
    return [f"{what} drops most words {which}, so that the figure says nothing about them; {advice}."]


def unspaced_warning(texts: Sequence[str], what: str, advice: str) -> list[str]:
    """The sentence for texts of a script without spaces, of which `what` reads a whole sentence as one word."""
    share = unspaced_share(texts)
    if share <= FOREIGN_SHARE:
        return []
    return [
        f"{share:.0%} of the text is in scripts without spaces, where {what} takes whole runs for one word; {advice}."
    ]


@lru_cache(1)
def _patterns() -> dict[str, re.Pattern[str]]:
    marks = _category_class(lambda kind: kind[0] == "M")
    symbols = _category_class(lambda kind: kind == "So")
    letter, joiner = rf"[^\W_{UNSPACED}]", "\u200c\u200d"
    word = rf"{letter}+(?:[{marks}{joiner}]+{letter}*)*"
    single = rf"[{UNSPACED}][{marks}]*"
    flag = "[\U0001f1e6-\U0001f1ff]{2}"
    emoji = rf"[{symbols}](?:[{marks}{SKIN}]|\u200d[{symbols}])*"
    return {
        "words": re.compile(f"{single}|{word}|{flag}|{emoji}"),
        "characters": re.compile(rf"{single}|[^\W_][{marks}]*|{flag}|{emoji}"),
        "spaced": re.compile(rf"[^\w\s]*[{UNSPACED}][^\w\s]*|[^\s{UNSPACED}]+"),
    }


@lru_cache(4)
def _runs(letters: str) -> re.Pattern[str]:
    return re.compile(f"[{letters}]+")


@lru_cache(1)
def _punctuation() -> dict[int, None]:
    marks = (code for code in range(0x80, 0x20000) if unicodedata.category(chr(code))[0] == "P")
    return dict.fromkeys(chain(map(ord, string.punctuation), marks))


def _category_class(predicate: Callable[[str], bool]) -> str:
    """The inside of a character class: runs of characters whose category is wanted, the sets of variants included."""
    runs: list[list[int]] = []
    for code in chain(range(0x80, 0x20000), range(0xE0100, 0xE01F0)):
        if predicate(unicodedata.category(chr(code))):
            if runs and runs[-1][1] == code - 1:
                runs[-1][1] = code
            else:
                runs.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in runs)
