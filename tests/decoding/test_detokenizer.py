"""Streamed text is the text of all tokens less that of the prompt, wherever the prompt ends."""

import json
import random
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from genai_lab.decoding.detokenizer import Detokenizer
from genai_lab.models.transformers import byte_tokens

SHARED = Path(__file__).resolve().parents[2] / "../shared"
STORIES = SHARED / "data/models/stories260K-hf"
LETTERS = " etaoinshrdlucmfwyp.,ETAOIN我你好的"
TEXTS = [
    "我喜欢茶和咖啡。你好好",
    "Translate: 我喜欢 茶!",
    "a 😀😀😀 b 👩‍👩‍👧 c",
    "สวัสดีครับ the tea หวาน",
    "नमस्ते दुनिया, one two",
    "één café naïve, Ωμέγα",
    "日本語\n\n한국어 텍스트\tعربى",
]


def fallback_tokenizer() -> Tokenizer:
    """Llama's kind: characters that the vocabulary lacks are one token a byte."""
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2} | {f"<0x{n:02X}>": 3 + n for n in range(256)}
    for letter in ["▁", *LETTERS.replace(" ", "")]:
        vocabulary[letter] = len(vocabulary)
    merges = [("▁", "t"), ("▁t", "e"), ("▁", "a"), ("n", "o")]
    for remaining, right in merges:
        vocabulary[remaining + right] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def byte_level_tokenizer() -> Tokenizer:
    marks = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={mark: n for n, mark in enumerate(marks)}, merges=[]))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return tokenizer


KINDS: dict[str, Callable[[], Tokenizer]] = {"byte fallback": fallback_tokenizer, "byte level": byte_level_tokenizer}


@cache
def of_kind(kind: str) -> tuple[Tokenizer, dict[int, int]]:
    from transformers import PreTrainedTokenizerFast

    tokenizer = KINDS[kind]()
    return tokenizer, byte_tokens(PreTrainedTokenizerFast(tokenizer_object=tokenizer))


def pieces(
    tokenizer: Tokenizer,
    values: dict[int, int],
    before: Sequence[int],
    then: Sequence[int],
    remaining_text: bool = True,
) -> list[str]:
    detokenizer = Detokenizer(lambda ids: str(tokenizer.decode(ids)), before, values)
    return [*map(detokenizer.push, then), *([detokenizer.rest()] if remaining_text else [])]


def expected_text(tokenizer: Tokenizer, ids: Sequence[int], cut: int) -> str:
    """The whole text without the characters that are complete at the cut; found without decoding a broken run."""
    full_text = tokenizer.decode(list(ids))
    for complete in range(cut, -1, -1):
        start_text = tokenizer.decode(list(ids[:complete]))
        if not start_text.endswith("\ufffd"):
            assert full_text.startswith(start_text)
            return full_text[len(start_text) :]
    raise AssertionError


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", TEXTS)
def test_wherever_the_prompt_ends_the_stream_is_what_comes_after_it(kind: str, text: str) -> None:
    tokenizer, values = of_kind(kind)
    assert bool(values) == (kind == "byte fallback")
    ids = tokenizer.encode(text).ids
    for cut in range(len(ids) + 1):
        decoded = pieces(tokenizer, values, ids[:cut], ids[cut:])
        assert "".join(decoded) == expected_text(tokenizer, ids, cut)
        assert not any("\ufffd" in piece for piece in decoded)


def test_random_texts_cut_at_random_places() -> None:
    rng = random.Random(7)
    alphabet = [*LETTERS, *"茶咖啡。😀👩‍한국नमสวé\n\t\u200b\U0001f3f4", "\u0000"]
    for _ in range(400):
        kind = rng.choice(list(KINDS))
        tokenizer, values = of_kind(kind)
        ids = tokenizer.encode("".join(rng.choices(alphabet, k=rng.randrange(1, 40)))).ids
        cut = rng.randrange(len(ids) + 1)
        assert "".join(pieces(tokenizer, values, ids[:cut], ids[cut:])) == expected_text(tokenizer, ids, cut)


def test_what_was_said_before_and_what_comes_are_the_whole_text() -> None:
    """As Continue and branch put them together: the beginning without its broken end, then the completion."""
    for kind in KINDS:
        tokenizer, values = of_kind(kind)
        for text in TEXTS:
            ids = tokenizer.encode(text).ids
            for cut in range(1, len(ids)):
                start_text = "".join(pieces(tokenizer, values, ids[:1], ids[1:cut], remaining_text=False))
                remaining_text = "".join(pieces(tokenizer, values, ids[:cut], ids[cut:]))
                assert start_text + remaining_text == expected_text(tokenizer, ids, 1)


def test_bytes_that_are_no_character_are_shown_and_end_no_stream() -> None:
    tokenizer, values = of_kind("byte fallback")
    token = {value: item for item, value in values.items()}
    plain = tokenizer.token_to_id("a")
    lone = [token[0xE6], token[0x88]]
    assert pieces(tokenizer, values, [1], [*lone, plain]) == ["", "", "\ufffd\ufffda", ""]
    assert pieces(tokenizer, values, [1], lone) == ["", "", "\ufffd\ufffd"]
    assert pieces(tokenizer, values, [1], [token[0xFF], *lone, token[0x91]]) == ["\ufffd", "", "", "我", ""]
    assert pieces(tokenizer, values, [1], [token[0xE6], token[0xE6], token[0x88], token[0x91]])[1:] == [
        "\ufffd",
        "",
        "我",
        "",
    ]
    # Of the prompt's own broken bytes nothing is new.
    assert pieces(tokenizer, values, [1, *lone], [plain]) == ["a", ""]
    # A long run of bytes streams character by character.
    run = [token[byte] for byte in ("茶" * 50).encode()]
    assert pieces(tokenizer, values, [1], run)[:6] == ["", "", "茶", "", "", "茶"]


def test_a_skipped_token_takes_no_space_with_it() -> None:
    tokenizer = fallback_tokenizer()
    tokenizer.add_special_tokens(["<s>"])
    ids = [*tokenizer.encode("a").ids, 1, *tokenizer.encode("no").ids, 1, 1, *tokenizer.encode(" a").ids]
    for cut in range(1, len(ids)):
        text = "".join(pieces(tokenizer, {}, ids[:cut], ids[cut:]))
        assert tokenizer.decode(ids).endswith(text)
        assert len(text) == len(tokenizer.decode(ids)) - len(tokenizer.decode(ids[:cut]))


@pytest.mark.skipif(not STORIES.is_dir(), reason="needs ../shared/data/models/stories260K-hf")
def test_a_published_byte_fallback_tokenizer() -> None:
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(STORIES)
    tokenizer, values = loaded.backend_tokenizer, byte_tokens(loaded)
    cases = [("我喜欢茶", "和咖啡。"), ("Translate: 我喜欢", "茶"), ("喜欢茶\n", "和咖啡"), ("你好", "好")]
    for prompt, then in cases:
        ids, cut = loaded(prompt + then)["input_ids"], len(loaded(prompt)["input_ids"])
        assert "".join(pieces(tokenizer, values, ids[:cut], ids[cut:])) == then
    naughty = json.loads((SHARED / "corpora/blns.json").read_text()) if (SHARED / "corpora/blns.json").is_file() else []
    rng = random.Random(3)
    for text in naughty:
        ids = loaded(text)["input_ids"]
        full_text = tokenizer.decode(ids)
        for cut in {1, rng.randrange(1, len(ids) + 1), rng.randrange(1, len(ids) + 1)}:
            decoded = "".join(pieces(tokenizer, values, ids[:cut], ids[cut:]))
            assert full_text.endswith(decoded)
            assert ("\ufffd" in decoded) <= ("\ufffd" in text)
