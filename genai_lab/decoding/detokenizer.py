"""Token ids as text, a piece at a time."""

from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile

BROKEN = "\ufffd"
WINDOW = 8
# A character has at most four bytes, so that this many tokens before a window begin the one that it cuts.
CUT = 3


class Detokenizer:
    """Text from ids in constant time a token; a character that is not whole yet is held back.

    Together the pieces are the text of all ids without the text of the ids `before`. A character that these leave
    incomplete is new as a whole.

    `byte_of` gives the values of tokens that stand for single bytes, as SentencePiece has them for what its vocabulary
    lacks. A tokenizer decodes a run of these to nothing but U+FFFD until its last character is whole, so they are read
    here.
    """

    def __init__(
        self, decode: Callable[[list[int]], str], before: Sequence[int], byte_of: Mapping[int, int] | None = None
    ) -> None:
        self._decode, self._byte_of = decode, byte_of or {}
        self._ids = _window(decode, before)
        self._from, self._read = 0, len(self._ids)
        # The bytes of a character that is not whole, and how many of them are of the ids before.
        self._bytes, self._old = bytearray(), 0
        self._begin_run(before)

    def push(self, token_id: int) -> str:
        byte = self._byte_of.get(token_id)
        if byte is not None:
            pending = self._held()
            self._ids.append(token_id)
            self._read = len(self._ids)
            return pending + self._push_byte(byte)
        broken = self._end_run()
        self._ids.append(token_id)
        text = self._decode(self._ids[self._from :])
        if text.endswith(BROKEN) and len(self._ids) - self._read < WINDOW:
            return broken
        new = self._new(text)
        # A token without text of its own begins no window: behind it a space would be taken for the text's first.
        self._from, self._read = self._read if new else self._from, len(self._ids)
        return broken + new

    def rest(self) -> str:
        """What is left at the end, an incomplete character as U+FFFD."""
        return self._held() + self._end_run()

    def _held(self) -> str:
        """What tokens that are no bytes have left incomplete."""
        return self._new(self._decode(self._ids[self._from :])) if self._read < len(self._ids) else ""

    def _new(self, text: str) -> str:
        previous = self._decode(self._ids[self._from : self._read])
        # A character that the ids before left incomplete is new as a whole.
        return text[len(previous if text.startswith(previous) else previous.rstrip(BROKEN)) :]

    def _begin_run(self, before: Sequence[int]) -> None:
        """Takes up the bytes that the text before ends with, as far as they leave a character incomplete."""
        run = list(takewhile(lambda token_id: token_id in self._byte_of, reversed(before[-CUT:])))
        for token_id in reversed(run):
            self._push_byte(self._byte_of[token_id])
        self._old = len(self._bytes)

    def _push_byte(self, byte: int) -> str:
        """The character that the byte completes, or what can be none any more, one U+FFFD a byte."""
        self._bytes.append(byte)
        try:
            text = self._bytes.decode()
        except UnicodeDecodeError as problem:
            if problem.reason == "unexpected end of data":
                return ""
            if len(self._bytes) > 1:
                self._bytes.pop()
                return self._end_run() + self._push_byte(byte)
            return self._end_run()
        self._bytes.clear()
        self._old = 0
        return text

    def _end_run(self) -> str:
        new = len(self._bytes) - self._old
        self._bytes.clear()
        self._old = 0
        return BROKEN * new


def _window(decode: Callable[[list[int]], str], before: Sequence[int]) -> list[int]:
    """The last ids, from one on that begins a character."""
    start = max(0, len(before) - WINDOW)
    first = max(0, start - CUT)
    while start > first and decode(list(before[start:])).startswith(BROKEN):
        start -= 1
    return list(before[start:])
