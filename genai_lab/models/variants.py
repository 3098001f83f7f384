"""Adapters on one loaded base: a second tree of modules over the same tensors, or a soft prompt before its rows."""

import contextlib
import copy
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai_lab.errors import ModelError
from genai_lab.models import Card, Generator, Prompt, Request, Stream

if TYPE_CHECKING:
    from genai_lab.models.transformers import LocalGenerator


def share_module(module: Any, copied_names: Collection[str] = ()) -> Any:
    """The module again over the same memory, free to be changed; parameters named in `own` are copied.

    Its parameters are objects of their own, so that marking or replacing them does not reach the first module.
    """
    import torch

    memo: dict[int, Any] = {}
    copied = {id(weight) for name, weight in module.named_parameters(remove_duplicate=False) if name in copied_names}
    for weight in module.parameters():
        data = weight.detach().clone() if id(weight) in copied else weight.detach()
        memo[id(weight)] = torch.nn.Parameter(data, requires_grad=False)
    memo |= {id(buffer): buffer.detach() for buffer in module.buffers()}
    return copy.deepcopy(module, memo)


def with_lora_layers(base: Any, folder: Path) -> Any:
    """The base's module with PEFT's layers in it."""
    return _peft(base, folder).get_base_model()


def with_bottlenecks(base: Any, folder: Path) -> Any:
    from genai_lab.models import bottleneck

    module = share_module(base.module)
    bottleneck.load(module, folder)
    return module.eval()


def soft_prompt(base: Any, folder: Path) -> Any:
    """The adapter's virtual tokens (`Soft`) as PEFT computes them."""
    import torch

    from genai_lab.decoding.soft_prompt import SoftPrompt

    peft = _peft(base, folder)
    if getattr(peft, "word_embeddings", None) is None:
        # PEFT looks for a parameter, which packed models do not have.
        peft.word_embeddings = peft.get_base_model().get_input_embeddings()
    with torch.no_grad():
        # One token behind them: what does not go with the base's layers fails here and not in the midst of a batch.
        first = torch.zeros((1, 1), dtype=torch.long, device=base.module.device)
        peft(input_ids=first, attention_mask=first + 1, **({"decoder_input_ids": first} if base.seq2seq else {}))
        prompt, size = peft.get_prompt(1), int(peft.active_peft_config.num_virtual_tokens)
        if torch.is_tensor(prompt):
            # PEFT takes only the encoder's half of what it trains for an encoder-decoder model.
            return SoftPrompt(size, prompt[0, :size].detach().clone(), module=peft)
    cache = getattr(prompt, "self_attention_cache", prompt)
    pairs = tuple((layer.keys.detach().clone(), layer.values.detach().clone()) for layer in cache.layers)
    network = base.scheduler.network
    if len(pairs) != network.layers:
        raise ModelError(
            f"{folder} has keys for {len(pairs)} layers, and the decoder of its base has {network.layers}; train it "
            "with num_layers set to that."
        )
    return SoftPrompt(size, keys_values=pairs, module=peft)


class SoftGenerator:
    """A base with a soft prompt before everything it reads; its rows share the steps of the base's own."""

    def __init__(self, card: Card, base: "LocalGenerator", soft: Any) -> None:
        self.card, self.base, self.soft = card, base, soft
        self.module, self.tokenizer, self.seq2seq = soft.module, base.tokenizer, base.seq2seq
        self.owned: Generator | None = None

    @property
    def scheduler(self) -> Any:
        return self.base.scheduler

    def submit(self, requests: Sequence[Request]) -> list[Stream]:
        return self.base.submit(requests, soft=self.soft)

    def count_tokens(self, prompt: Prompt) -> int:
        return self.base.count_tokens(prompt)

    def tokenize(self, text: str) -> list[tuple[int, str]]:
        return self.base.tokenize(text)

    def context_ids(self, prompt: Prompt) -> tuple[int, ...]:
        return self.base.context_ids(prompt)

    def prefix_text(self, prompt: Prompt) -> str:
        return self.base.prefix_text(prompt)

    def token_text(self, token_id: int) -> str:
        return str(self.base.token_text(token_id))

    def close(self) -> None:
        with contextlib.suppress(ModelError):
            self.base.scheduler.call(lambda: self.base.scheduler.network.forget(self.soft))
        self.module = None
        if self.owned is not None:
            self.owned.close()


def _peft(base: Any, folder: Path) -> Any:
    """PEFT's model over the base's tensors, with the adapter's weights; raises ModelError where they do not fit.

    PEFT itself passes over tensors that it does not find and leaves those that are missing as it made them.
    """
    import torch
    from peft import PeftConfig, get_peft_model
    from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors.torch import load_file

    config = PeftConfig.from_pretrained(str(folder))
    config.inference_mode, config.base_model_name_or_path = True, None
    tensors = load_file(folder / "adapter_model.safetensors")
    # What an adapter brings for a parameter of the base itself, such as a bias, is written over it.
    overwritten = {name.removeprefix("base_model.model.").replace(".base_layer", "") for name in tensors}
    with torch.no_grad():
        model: Any = get_peft_model(share_module(base.module, overwritten), config)
        needed, allowed = (
            get_peft_model_state_dict(model, save_embedding_layers=embeddings).keys() for embeddings in (False, True)
        )
        if strange := sorted((needed - tensors.keys()) | (tensors.keys() - allowed)):
            where = "which its settings do not name" if strange[0] in tensors else "which its file does not have"
            raise ModelError(f"{folder} does not fit its base: it changes {strange[0]}, {where}.")
        set_peft_model_state_dict(model, tensors)
    return model.eval()
