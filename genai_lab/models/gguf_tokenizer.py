"""A GGUF file's tokenizer as files that transformers loads, and the check that the two are the same.

The vocabulary, merges and special tokens are rebuilt by transformers; what it does not do stands here: ways of
splitting text that it does not know, a beginning token by the file's flag, and the ids of all tokens that end a text.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genai_lab.errors import ModelError
from genai_lab.models.gguf_header import GgufHeader
from genai_lab.models.tokenizer_panics import clear_panics

# Ways of splitting text, by llama.cpp's name for them: those of GPT-2's pattern alone, and with each digit for itself.
GPT2_SPLITS = ("default", "gpt-2", "olmo", "phi-2", "jais", "trillion", "mpt", "gigachat")
DIGIT_SPLITS = ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b")
# Tokens that end a turn, under whichever name a family has for them; llama.cpp stops at them too.
TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>")
CONTROL, USER_DEFINED = 3, 4
BYTE_LEVEL = "gpt2"
NASTY = (
    "Hello, world!", "  two  spaces\n\n\nand\ttabs ", "2024-11-30 3.14159 1,000,000 007", "naïve café Ünïcödé ß ﬁ",
    "数学と日本語、한국어, العربية, עברית, ไทย", "👩‍👩‍👧‍👦 🇫🇷 🏳️‍🌈 ✨", "e\u0301 \u200b\u200d\ufeff \u202eabc",
    "def f(x):\r\n\treturn x**2  # <|x|>",
    "\\n \\t {{ x }} <b>&amp;</b>", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "I'm you've he'LL DON'T", "\x00\x01\x7f",
)  # fmt: skip


def check_splitting(header: GgufHeader) -> None:
    """Raises ModelError where the file names a way of splitting text that would be guessed here."""
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    known = sorted({*GPT2_SPLITS, *DIGIT_SPLITS, *GGUF_PRE_TOKENIZER_SPLITS})
    name = header.text("tokenizer.ggml.pre")
    if header.text("tokenizer.ggml.model") == BYTE_LEVEL and name is not None and name not in known:
        raise ModelError(
            f"{header.path} splits text into words in a way ({name[:60]!r}) that is not known here, so that its tokens "
            f"would be others; known are {', '.join(known)}."
        )


def write_tokenizer(header: GgufHeader, folder: Path) -> tuple[int, ...]:
    """Writes tokenizer and chat template into `folder`; returns the ids of the tokens that end a text."""
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast
    from transformers.integrations.gguf import convert_gguf_tokenizer, get_gguf_tokenizer

    check_splitting(header)
    tokens = header.array("tokenizer.ggml.tokens")
    try:
        with clear_panics(f"The tokenizer of {header.path}"):
            architecture, parts, settings = get_gguf_tokenizer(str(header.path))
            if parts.get("tokenizer_type") == BYTE_LEVEL:
                backend = _byte_level(parts)
            else:
                backend, _ = convert_gguf_tokenizer(architecture, parts)
    except ModelError:
        raise
    except Exception as problem:
        # What is no vocabulary makes the libraries raise anything, down to a bare Exception.
        raise ModelError(f"{header.path} describes no tokenizer that can be read ({problem}).") from None
    special = {name: settings[name] for name in ("bos_token", "eos_token", "unk_token", "pad_token") if settings[name]}
    special.setdefault("pad_token", special.get("eos_token"))
    if settings.get("add_bos_token") and "bos_token" in special:
        bos = special["bos_token"]
        backend.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos} $B:1", special_tokens=[(bos, tokens.index(bos))]
        )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=header.context or int(1e30),
        clean_up_tokenization_spaces=False,
        **{name: token for name, token in special.items() if token},
    )
    if header.chat_template:
        tokenizer.chat_template = header.chat_template
    tokenizer.save_pretrained(folder)
    return end_tokens(header)


def _byte_level(parts: dict[str, Any]) -> Any:
    """The byte-level BPE with the tokens of the file under their ids and no others.

    transformers' own adds GPT-2's special token to vocabularies that lack it.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    tokens, splitting = parts["tokens"], parts.get("pre_tokenizer_type")
    merges = [tuple(merge.split(" ")) for merge in parts["merges"]]
    backend = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    steps: list[Any] = [pre_tokenizers.ByteLevel(add_prefix_space=False)]
    if splitting in DIGIT_SPLITS:
        steps.insert(0, pre_tokenizers.Digits(individual_digits=True))
    elif splitting in GGUF_PRE_TOKENIZER_SPLITS:
        pattern = Regex(GGUF_PRE_TOKENIZER_SPLITS[splitting])
        steps = [
            pre_tokenizers.Split(pattern, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    backend.pre_tokenizer = pre_tokenizers.Sequence(steps)
    backend.decoder = decoders.ByteLevel()
    kinds = parts.get("token_type") or []
    added = [(token, kind) for token, kind in zip(tokens, kinds, strict=False) if kind in (CONTROL, USER_DEFINED)]
    backend.add_tokens([AddedToken(token, normalized=False, special=kind == CONTROL) for token, kind in added])
    return backend


def end_tokens(header: GgufHeader) -> tuple[int, ...]:
    """The ids of all tokens that end a text, the file's own first."""
    kinds, tokens = header.array("tokenizer.ggml.token_type"), header.array("tokenizer.ggml.tokens")
    keys = ("eos_token_id", "eot_token_id", "eom_token_id")
    stated = [header.number(f"tokenizer.ggml.{key}") for key in keys]
    named = [
        number
        for number, (token, kind) in enumerate(zip(tokens, kinds, strict=False))
        if kind == CONTROL and token in TURN_ENDS
    ]
    ids = [number for number in stated if number is not None and number < len(tokens)]
    return tuple(dict.fromkeys([*ids, *named]))


def check_tokenizer(header: GgufHeader, folder: Path) -> None:
    """Compares the tokenizer in `folder`, as it loads, with the file; raises ModelError at the first difference."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokens: Sequence[str] = header.array("tokenizer.ggml.tokens")
    loaded = tokenizer.convert_ids_to_tokens(list(range(len(tokens))))
    if len(tokenizer) != len(tokens):
        raise _differs(header, f"it has {len(tokenizer):,} tokens, but the file {len(tokens):,}")
    byte_level = header.text("tokenizer.ggml.model") == BYTE_LEVEL
    for number, (ours, theirs) in enumerate(zip(loaded, tokens, strict=True)):
        if ours != theirs and (theirs.isascii() or not byte_level) and theirs.strip():
            raise _differs(header, f"token {number} is {ours!r}, but {theirs!r} in the file")
    for name in ("bos", "eos", "padding"):
        stated = header.number(f"tokenizer.ggml.{name}_token_id")
        ours = getattr(tokenizer, f"{name[:3]}_token_id")
        if stated is not None and ours != stated:
            raise _differs(header, f"its {name} token is {ours}, but {stated} in the file")
    if (header.chat_template or None) != (tokenizer.chat_template or None):
        raise _differs(header, "its chat template is another")
    if byte_level:
        _check_round_trip(header, tokenizer)


def _check_round_trip(header: GgufHeader, tokenizer: Any) -> None:
    for text in NASTY:
        ids = tokenizer.encode(text, add_special_tokens=False)
        if tokenizer.decode(ids, clean_up_tokenization_spaces=False) != text:
            raise _differs(header, f"the text {text!r} does not survive it")


def _differs(header: GgufHeader, why: str) -> ModelError:
    return ModelError(f"The tokenizer that was made from {header.path} is not the file's: {why}.")
