"""The vocabulary of the fake model: some words with a space before them, every byte, and the end of a text."""

from functools import cache

WORDS = (
    "once", "upon", "a", "time", "the", "small", "dog", "found", "red", "rope", "and", "went", "home", "again", "cat",
    "sat", "by", "warm", "fire", "with", "blue", "ball", "under", "old", "tree", "while", "rain", "fell", "on",
    "garden", "then", "ran", "to", "river", "where", "bird", "sang", "for", "long", "bright", "day",
    "of", "was", "happy",
)  # fmt: skip
END = len(WORDS) + 256
VOCABULARY = (*(f" {word}" for word in WORDS), *map(chr, range(256)), "")
_IDS = {f" {word}": place for place, word in enumerate(WORDS)}


def tokenize(text: str) -> tuple[int, ...]:
    """Token ids that make up the text again: words where it has them, bytes elsewhere."""
    ids: list[int] = []
    at = 0
    while at < len(text):
        stop = at + 1
        while text[at] == " " and stop < len(text) and text[stop].isalpha():
            stop += 1
        if (word := _IDS.get(text[at:stop])) is not None:
            ids.append(word)
        else:
            ids += (len(WORDS) + byte for byte in text[at:stop].encode("utf-8", "replace"))
        at = stop
    return tuple(ids)


def token_bytes(token_id: int) -> bytes:
    """The bytes of a token; b"" for the end and for ids beyond the vocabulary."""
    if token_id < len(WORDS):
        return VOCABULARY[token_id].encode()
    return bytes([token_id - len(WORDS)]) if token_id < END else b""


@cache
def token_text(token_id: int) -> str:
    return token_bytes(token_id).decode("utf-8", "replace") if 0 <= token_id < END else ""
