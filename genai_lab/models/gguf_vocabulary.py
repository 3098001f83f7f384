"""The vocabulary of a GGUF file: what each token's bytes are, its special tokens, its chat template."""

from collections.abc import Sequence
from functools import cached_property

from genai_lab.errors import ModelError
from genai_lab.models.gguf_header import GgufHeader

# How llama.cpp calls kinds of tokenizers, and whether their tokens are spelled with one letter a byte.
BYTE_LEVEL = {"gpt2": True, "llama": False, "t5": False, "gemma4": False}
CONTROL, BYTE = 3, 6
SPACE = "▁"
SPECIAL = {
    "bos_token": "tokenizer.ggml.bos_token_id",
    "eos_token": "tokenizer.ggml.eos_token_id",
    "unk_token": "tokenizer.ggml.unknown_token_id",
    "pad_token": "tokenizer.ggml.padding_token_id",
}


class GgufVocabulary:
    """Tokens of a checked header. It stands in for a tokenizer where messages are rendered.

    Raises ModelError for a kind of tokenizer that is not known here.
    """

    def __init__(self, header: GgufHeader) -> None:
        kind = header.text("tokenizer.ggml.model") or ""
        if kind not in BYTE_LEVEL:
            raise ModelError(
                f"{header.path} has a tokenizer of the kind {kind or 'none'!r}; only {', '.join(BYTE_LEVEL)} can be "
                "read, so choose another file."
            )
        self.byte_level = BYTE_LEVEL[kind]
        self.tokens: list[str] = header.array("tokenizer.ggml.tokens")
        self.types: list[int] = header.array("tokenizer.ggml.token_type")
        self.chat_template = header.chat_template
        if not self.tokens or not all(isinstance(token, str) for token in self.tokens):
            raise ModelError(f"{header.path} holds no vocabulary; choose another file.")
        ids = {name: header.number(key) for name, key in SPECIAL.items()}
        self.special_tokens_map = {
            name: self.tokens[token]
            for name, token in ids.items()
            if token is not None and 0 <= token < len(self.tokens)
        }

    def __len__(self) -> int:
        return len(self.tokens)

    def bytes_of(self, token_id: int) -> bytes:
        """What the token adds to a text; b"" for a control token and for an id beyond the vocabulary."""
        return b"" if self.is_control(token_id) else self._spelled(token_id)

    def is_control(self, token_id: int) -> bool:
        """Whether the token stands for no text, such as the end of a turn."""
        return self._type(token_id) == CONTROL

    def text(self, ids: Sequence[int]) -> str:
        """The tokens together, with U+FFFD for what is no whole character."""
        return b"".join(map(self.bytes_of, ids)).decode("utf-8", "replace")

    def token_text(self, token_id: int) -> str:
        """One entry as people read it, control tokens by their name."""
        return self._spelled(token_id).decode("utf-8", "replace")

    def ids_of(self, wanted: bytes) -> list[int]:
        """Tokens that make up the bytes, the longest first one each time; [] where there are none."""
        ids: list[int] = []
        while wanted:
            size = next((n for n in range(min(len(wanted), self._longest), 0, -1) if wanted[:n] in self._by_bytes), 0)
            if not size:
                return []
            ids.append(self._by_bytes[wanted[:size]])
            wanted = wanted[size:]
        return ids

    def _type(self, token_id: int) -> int:
        return self.types[token_id] if 0 <= token_id < len(self.types) else 1

    def _spelled(self, token_id: int) -> bytes:
        if not 0 <= token_id < len(self.tokens):
            return b""
        token, kind = self.tokens[token_id], self._type(token_id)
        if kind == BYTE and len(token) == 6 and token.startswith("<0x"):
            return bytes([int(token[3:5], 16)])
        if kind != 1:
            return token.encode()
        if self.byte_level:
            return b"".join(bytes([self._letters[letter]]) if letter in self._letters else letter.encode()
                            for letter in token)  # fmt: skip
        return token.replace(SPACE, " ").encode()

    @cached_property
    def _letters(self) -> dict[str, int]:
        """The byte that each letter of byte-level spelling stands for: visible ones themselves, others from 256 on."""
        visible = {*range(33, 127), *range(161, 173), *range(174, 256)}
        hidden = [byte for byte in range(256) if byte not in visible]
        return {chr(byte): byte for byte in visible} | {chr(256 + place): byte for place, byte in enumerate(hidden)}

    @cached_property
    def _by_bytes(self) -> dict[bytes, int]:
        return {self._spelled(token): token for token in range(len(self.tokens)) if self._type(token) in (1, BYTE)}

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self._by_bytes), default=0)
