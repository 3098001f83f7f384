"""What a module writes while it is trained, by transformers' own generation."""

from collections.abc import Sequence
from typing import Any

from genai_lab.training.plan import Architecture


def generate_greedily(
    module: Any,
    tokenizer: Any,
    architecture: Architecture,
    prompts: Sequence[list[int]],
    max_new_tokens: int,
    *,
    one_at_a_time: bool = False,
    skip_special: bool = True,
) -> list[str]:
    """The completions of the prompts' ids. `one_at_a_time` is for modules that would misread padding on the left."""
    import torch

    if one_at_a_time and len(prompts) > 1:
        return [
            text
            for ids in prompts
            for text in generate_greedily(
                module, tokenizer, architecture, [ids], max_new_tokens, skip_special=skip_special
            )
        ]
    width = max(map(len, prompts))
    pad_left = architecture == "decoder-only"
    input_ids = torch.full((len(prompts), width), tokenizer.pad_token_id, device=module.device)
    mask = torch.zeros_like(input_ids)
    for index, ids in enumerate(prompts):
        span = slice(width - len(ids), width) if pad_left else slice(0, len(ids))
        input_ids[index, span] = torch.tensor(ids, device=module.device)
        mask[index, span] = 1
    output = module.generate(
        input_ids=input_ids,
        attention_mask=mask,
        max_new_tokens=max_new_tokens,
        do_sample=False,
        use_cache=True,
        pad_token_id=tokenizer.pad_token_id,
    )
    # Virtual tokens make some modules return the new tokens alone.
    new = [row[width:] if pad_left and len(row) > max_new_tokens + 1 else row for row in output.tolist()]
    return [decode(tokenizer, ids) if skip_special else tokenizer.decode(ids) for ids in new]


def decode(tokenizer: Any, ids: Sequence[int]) -> str:
    """The text of the ids without special tokens."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=True)).strip()
