"""Models that score a completion given its prompt: loaded for use, and how prompt and completion become their tokens.

The reward is the one output of a sequence classifier, without unit; only differences between completions of one prompt
mean something (Ouyang et al., 2022, section 3.5).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from genai_lab.data.conversations import Message, write_text
from genai_lab.errors import ModelError
from genai_lab.models import Card
from genai_lab.models.chat_tokens import chat_pair
from genai_lab.models.loading import reading_weights
from genai_lab.models.scorer import PromptLike, Scorer
from genai_lab.models.tokenizer_panics import clear_panics
from genai_lab.models.transformers import bytes_of

BATCH_TOKENS = 8192
LONGEST = 1024
PROMPT_FORMAT = "prompt_format"  # of a reward model's settings: "chat" or "plain"


def plain(prompt: PromptLike) -> str:
    """A prompt of messages as text, as conversations are written out."""
    if isinstance(prompt, str):
        return prompt
    return write_text([Message(message["role"], message["content"]) for message in prompt], cue=True)


def as_messages(prompt: PromptLike) -> Sequence[Mapping[str, Any]]:
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt


@clear_panics("The tokenizer")
def encode_prompt_and_completion(
    tokenizer: Any, prompt: PromptLike, completion: str, length: int
) -> tuple[list[int], list[int], bool]:
    """(tokens of the prompt, tokens of the completion, whether some were cut) for a decoder, at most `length` in all.

    Messages are read in the chat template. After a text the completion ends with the end token and begins with a space
    where nothing else parts it from the prompt. What is too long loses the beginning of the prompt first, then the end
    of the completion.
    """
    if not isinstance(prompt, str):
        return chat_pair(tokenizer, prompt, completion, length)
    first = list(tokenizer(prompt, truncation=False, verbose=False)["input_ids"])
    # Some tokenizers end every text; the completion goes on here.
    while len(first) > 1 and first[-1] == tokenizer.eos_token_id:
        first.pop()
    end = [] if tokenizer.eos_token_id is None else [int(tokenizer.eos_token_id)]
    continuation = tokenizer(
        with_separator(prompt, completion), add_special_tokens=False, truncation=False, verbose=False
    )["input_ids"]
    last = [*continuation, *end]
    cut = len(first) + len(last) > length
    last = last[: max(1, length - 1)]
    return first[-max(1, length - len(last)) :], last, cut


@clear_panics("The tokenizer")
def encode_text_pair(tokenizer: Any, prompt: str, completion: str, length: int) -> tuple[list[int], bool]:
    """(tokens of the two as an encoder reads a pair of texts, whether some were cut), cut as `paired` does."""
    coded = tokenizer(prompt, completion, truncation=False, verbose=False)
    ids, side = list(coded["input_ids"]), coded.sequence_ids(0)
    over = len(ids) - length
    if over <= 0:
        return ids, False
    of_prompt = [index for index, text_index in enumerate(side) if text_index == 0]
    of_completion = [index for index, text_index in enumerate(side) if text_index == 1]
    dropped = set(of_prompt[:over])
    if over > len(dropped):
        dropped |= set(of_completion[len(dropped) - over :])
    return [token for index, token in enumerate(ids) if index not in dropped], True


def with_separator(prompt: str, completion: str) -> str:
    """The completion, with a space before it where the prompt ends in the middle of a line."""
    if not prompt or prompt[-1].isspace() or completion[:1].isspace():
        return completion
    return f" {completion}"


class RewardModel(Scorer):
    """A loaded reward model. `hash` says which it was. Raises ModelError for a model that is none."""

    def __init__(self, card: Card, device: str = "cpu") -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        if card.role != "reward" or card.path is None:
            raise ModelError(f"{card.name} is not a reward model; choose one, or train one on preferences.")
        options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
        super().__init__(card)
        self.tokenizer = AutoTokenizer.from_pretrained(card.path, **options)
        with reading_weights():
            module = AutoModelForSequenceClassification.from_pretrained(
                card.path, use_safetensors=True, dtype=torch.float32, **options
            )
        if module.config.num_labels != 1:
            raise ModelError(f"{card.name} has {module.config.num_labels} outputs, and a reward model has one.")
        self.module = module.to(device).eval()
        self.tensor_bytes = bytes_of(module)
        self.pad = int(module.config.pad_token_id or 0)
        self.decoder = reads_forward(module)
        trained_here = module.config.id2label.get(0) == "reward"  # in plain text, where it does not name its form
        stated = getattr(module.config, PROMPT_FORMAT, None) or ("plain" if trained_here else None)
        by_template = bool(self.tokenizer.chat_template) and not card.completes
        self.chat = self.decoder and (stated == "chat" if stated in ("chat", "plain") else by_template)
        self.longest = min(card.context or LONGEST, LONGEST)

    def close(self) -> None:
        self.module = None

    def coded(self, prompt: PromptLike, completion: str) -> list[int]:
        """The tokens that the model reads: in its chat template where it was trained in it, or has one."""
        if self.decoder:
            question = as_messages(prompt) if self.chat else plain(prompt)
            first, last, _ = encode_prompt_and_completion(self.tokenizer, question, completion, self.longest)
            return first + last
        prompt = plain(prompt)
        return encode_text_pair(self.tokenizer, prompt, completion, self.longest)[0]

    @property
    def reads_input(self) -> bool:
        return True

    def rewards(self, prompts: Sequence[PromptLike], completions: Sequence[str]) -> list[float]:
        """The reward of each completion of its prompt, in order; batches of similar length, the same every time."""
        import torch

        if len(prompts) != len(completions):
            raise ModelError(f"There are {len(prompts)} prompts and {len(completions)} completions; give equally many.")
        rows = [self.coded(*value) for value in zip(prompts, completions, strict=True)]
        values = [0.0] * len(rows)
        order = sorted(range(len(rows)), key=lambda index: (len(rows[index]), index))
        while order:
            count = max(1, min(len(order), BATCH_TOKENS // max(1, len(rows[order[-1]]))))
            places, order = order[-count:], order[:-count]
            width = len(rows[places[-1]])
            ids = torch.tensor([rows[index] + [self.pad] * (width - len(rows[index])) for index in places])
            mask = torch.tensor([[1] * len(rows[index]) + [0] * (width - len(rows[index])) for index in places])
            device = self.module.device
            with torch.inference_mode():
                out = self.module(input_ids=ids.to(device), attention_mask=mask.to(device)).logits
            for index, value in zip(places, out.float()[:, 0].tolist(), strict=True):
                values[index] = value
        return values


def reads_forward(module: Any) -> bool:
    """Whether a classifier stands on a decoder, whose score is read at the last token."""
    return hasattr(module, "score")
