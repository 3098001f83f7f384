"""Byte-level tokenizers: every string has a code, so nothing is unknown and decode(encode(s)) == s."""

import random
from typing import TYPE_CHECKING, Any

from genai_lab.starter.tasks import TASKS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VOCABULARY = 2048
PAD, START, END, MASK = "<|pad|>", "<|start|>", "<|end|>", "<|mask|>"
USER, ASSISTANT = "<|user|>", "<|assistant|>"
SENTINELS = tuple(f"<|gap_{i}|>" for i in range(16))
CHAT = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}<|assistant|>{{ message['content'] }}<|end|>"
    "{% else %}<|user|>{{ message['content'] }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def training_text(seed: int, count: int = 6000) -> list[str]:
    """Prompts and references of the training split of every task, and documents of solved reviews."""
    from genai_lab.starter.tasks.sentiment import few_shot_document

    rng = random.Random(f"tokenizer {seed}")
    texts = []
    for name in TASKS:
        for _ in range(count):
            example = TASKS.get(name).draw(rng, "train")
            texts.append(f"{example.prompt} {example.references[0]}")
    for _ in range(count):
        shots = few_shot_document(rng, "train", rng.randrange(5))
        texts.append(shots.prompt + shots.answer)
    return texts


def build_tokenizer(kind: str, seed: int = 0) -> "PreTrainedTokenizerFast":
    """`kind` is "causal" (begins with <|start|>), "seq2seq" (ends with <|end|>) or "encoder" (both)."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = [PAD, START, END, MASK, *((USER, ASSISTANT) if kind == "causal" else ())]
    special += SENTINELS if kind == "seq2seq" else ()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(training_text(seed), trainer)
    frame = {"causal": f"{START} $A", "seq2seq": f"$A {END}", "encoder": f"{START} $A {END}"}[kind]
    used = [(token, tokenizer.token_to_id(token)) for token in (START, END) if token in frame]
    tokenizer.post_processor = processors.TemplateProcessing(single=frame, special_tokens=used)
    special_tokens: dict[str, Any] = {"mask_token": MASK} if kind == "encoder" else {}
    if kind == "seq2seq":
        special_tokens["additional_special_tokens"] = list(SENTINELS)
    fast_tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=START,
        eos_token=END,
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
        **special_tokens,
    )
    if kind == "causal":
        fast_tokenizer.chat_template = CHAT
    return fast_tokenizer
