"""Random models of every architecture, small enough to be trained in a test, and texts for them."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genai_lab.settings import read_settings
from genai_lab.training import Architecture, Training
from genai_lab.training.examples import TextExample
from genai_lab.training.objective import EncodingContext
from genai_lab.training.objectives import OBJECTIVES

WORDS = ["red", "blue", "green", "one", "two", "three", "cat", "dog", "bird", "sun", "moon", "star", "yes", "no", "tea"]
SPECIAL = ["</s>", "<pad>", "<mask>", "<s>", "<unk>", *(f"<extra_id_{n}>" for n in range(20))]
TEXTS = [
    TextExample(f"Say {a} and {b}:", f" {b} {a}", row=n)
    for n, (a, b) in enumerate((a, b) for a in WORDS[:6] for b in WORDS[6:12])
]
random.Random(0).shuffle(TEXTS)


CHAT = ["<|im_start|>", "<|im_end|>"]
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def tiny(folder: Path, kind: str, seed: int = 0, chat: bool = False) -> Path:
    """`kind` is llama, gpt2, t5 or roberta; about 20,000 random parameters. `chat` ones have a ChatML template."""
    import torch
    import transformers as hf
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    torch.manual_seed(seed)
    letters = sorted({letter for text in TEXTS for letter in text.prompt + text.completion} | set("?.,\n"))
    if chat:
        letters = sorted({*letters, *"system user assistant tool"})
    vocabulary = {token: index for index, token in enumerate([*SPECIAL, *letters, *WORDS, *(CHAT if chat else ())])}
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    if kind == "roberta":
        raw.post_processor = processors.RobertaProcessing(("</s>", 0), ("<s>", 3))
    tokenizer = hf.PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="</s>", pad_token="<pad>", mask_token="<mask>", bos_token="<s>",
        unk_token="<unk>", cls_token="<s>", sep_token="</s>",
    )  # fmt: skip
    if chat:
        tokenizer.add_special_tokens({"eos_token": CHAT[1], "additional_special_tokens": CHAT[:1]})
        tokenizer.chat_template = CHATML
    end = tokenizer.eos_token_id
    ends: dict[str, Any] = {"pad_token_id": 1, "eos_token_id": end, "bos_token_id": 3, "vocab_size": len(vocabulary)}
    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    result: Any
    if kind == "llama":
        result = hf.LlamaForCausalLM(
            hf.LlamaConfig(**sizes, num_attention_heads=4, max_position_embeddings=128, **ends)
        )
    elif kind == "gpt2":
        result = hf.GPT2LMHeadModel(hf.GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=128, **ends))
    elif kind == "t5":
        result = hf.T5ForConditionalGeneration(
            hf.T5Config(d_model=32, d_ff=48, d_kv=8, num_layers=2, num_heads=4, decoder_start_token_id=1, **ends)
        )
    else:
        result = hf.RobertaForMaskedLM(
            hf.RobertaConfig(**sizes, num_attention_heads=4, max_position_embeddings=130, **ends)
        )
    result.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def kind_of(architecture: Architecture, method: str) -> str:
    """Llama has no biases."""
    if architecture == "decoder-only":
        return "gpt2" if method == "bitfit" else "llama"
    return "t5" if architecture == "encoder-decoder" else "roberta"


def context_for(
    tokenizer: Any,
    architecture: Architecture,
    training: Training,
    objective: str = "instruction",
    labels: Sequence[str] = (),
    **settings: Any,
) -> EncodingContext:
    """What texts are encoded for, with the objective's default settings where none are given."""
    member = OBJECTIVES.get(objective)
    own_result = read_settings(member.settings, settings, member.title)
    return EncodingContext(tokenizer, architecture, training, own_result, tuple(labels))


def encoded(
    texts: Sequence[Any],
    tokenizer: Any,
    architecture: Architecture,
    training: Training,
    objective: str = "instruction",
    labels: Sequence[str] = (),
    **settings: Any,
) -> list[Any]:
    """The texts as the objective encodes them."""
    context = context_for(tokenizer, architecture, training, objective, labels, **settings)
    return OBJECTIVES.get(objective).encode(texts, context)


class Told:
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.metrics: dict[str, list[tuple[int, float]]] = {}
        self.records: list[dict[str, Any]] = []
        self.done = 0.0

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        self.done = done

    def metric(self, name: str, step: int, value: float) -> None:
        self.metrics.setdefault(name, []).append((step, value))

    def record(self, item: dict[str, Any]) -> None:
        self.records.append(item)
