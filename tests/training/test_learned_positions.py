"""Logits at learned positions alone: the loss and all gradients are those of all logits, with padding and its mask."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genai_lab.training import Architecture
from genai_lab.training.examples import IGNORED
from genai_lab.training.learned_positions import head_at, learned_positions, logits_at, summed_cross_entropy
from tests.training.models import tiny

KINDS: dict[str, Architecture] = {
    "llama": "decoder-only", "gpt2": "decoder-only", "t5": "encoder-decoder", "roberta": "encoder",
}  # fmt: skip


def module_of(folder: Path, kind: str) -> Any:
    import transformers as hf

    tiny(folder, kind)
    autos = {"t5": hf.AutoModelForSeq2SeqLM, "roberta": hf.AutoModelForMaskedLM}
    return autos.get(kind, hf.AutoModelForCausalLM).from_pretrained(folder).eval()


def batch_of(kind: str) -> dict[str, Any]:
    """Three rows of 9, 6 and 3 tokens padded on the right; a third of the tokens is learned."""
    import torch

    generator = torch.Generator().manual_seed(1)
    ids, mask = torch.randint(5, 40, (3, 9), generator=generator), torch.ones(3, 9, dtype=torch.long)
    labels = torch.where(torch.arange(9) % 3 == 1, torch.randint(5, 40, (3, 9), generator=generator), IGNORED)
    for row, length in enumerate((9, 6, 3)):
        ids[row, length:], mask[row, length:], labels[row, length:] = 1, 0, IGNORED
    batch = {"input_ids": ids, "attention_mask": mask, "labels": labels}
    return batch | ({"decoder_input_ids": ids.clone()} if kind == "t5" else {})


def plain_loss(module: Any, batch: dict[str, Any]) -> Any:
    from torch.nn.functional import cross_entropy

    logits = module(**{name: value for name, value in batch.items() if name != "labels"}).logits
    logits = logits[:, -batch["labels"].shape[1] :].reshape(-1, logits.shape[-1])
    return cross_entropy(logits, batch["labels"].view(-1), ignore_index=IGNORED, reduction="sum")


def learned_loss(module: Any, batch: dict[str, Any], masked: bool = True) -> Any:
    labels, left_out = batch["labels"], ("labels",) if masked else ("labels", "attention_mask")
    positions, width = learned_positions(labels), labels.shape[1]
    with head_at(module, positions, width):
        logits = module(**{name: value for name, value in batch.items() if name not in left_out}).logits
    assert logits.dim() == 2
    assert logits.shape[0] == len(positions)
    return summed_cross_entropy(logits_at(logits, positions, width), labels.view(-1)[positions])


def check_equal(module: Any, first: Callable[[], Any], second: Callable[[], Any]) -> None:
    import torch

    results = []
    for loss_of in (first, second):
        module.zero_grad()
        loss = loss_of() / 7
        loss.backward()
        gradients = {name: weight.grad.clone() for name, weight in module.named_parameters() if weight.grad is not None}
        results.append((loss.detach(), gradients))
    (loss, gradients), (other_loss, other) = results
    torch.testing.assert_close(loss, other_loss, rtol=1e-5, atol=1e-6)
    assert gradients
    assert gradients.keys() == other.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, other[name], rtol=1e-5, atol=1e-5, msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_gradients_are_those_of_all_logits(kind: str, tmp_path: Path) -> None:
    module, batch = module_of(tmp_path, kind), batch_of(kind)
    check_equal(module, lambda: plain_loss(module, batch), lambda: learned_loss(module, batch))


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_decoder_needs_no_mask_for_padding_on_the_right(kind: str, tmp_path: Path) -> None:
    module, batch = module_of(tmp_path, kind), batch_of(kind)
    check_equal(module, lambda: plain_loss(module, batch), lambda: learned_loss(module, batch, masked=False))


def test_virtual_tokens_before_the_text_are_passed_over(tmp_path: Path) -> None:
    import peft

    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)  # type: ignore[arg-type]
    module, batch = peft.get_peft_model(module_of(tmp_path, "llama"), config), batch_of("llama")
    check_equal(module, lambda: plain_loss(module, batch), lambda: learned_loss(module, batch))


def test_a_batch_without_learned_tokens_has_no_loss_and_no_gradient(tmp_path: Path) -> None:
    module, batch = module_of(tmp_path, "llama"), batch_of("llama")
    batch["labels"].fill_(IGNORED)
    loss = learned_loss(module, batch)
    loss.backward()
    assert loss == 0
    assert all(weight.grad is None or not weight.grad.any() for weight in module.parameters())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_cross_entropy_in_pieces_is_torchs_own(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from torch.nn.functional import cross_entropy

    from genai_lab.training import learned_positions as module

    monkeypatch.setattr(module, "CPU_CHUNK", 3 * 11)
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(10, 11, generator=generator).to(getattr(torch, dtype))
    labels = torch.randint(0, 11, (10,), generator=generator)
    gradients = []
    for loss_of in (
        lambda logits: cross_entropy(logits.float(), labels, reduction="sum"),
        lambda logits: summed_cross_entropy(logits, labels),
    ):
        logits = start.clone().requires_grad_()
        loss = loss_of(logits) * 3
        loss.backward()
        gradients.append((loss.detach(), logits.grad))
    torch.testing.assert_close(gradients[0][0], gradients[1][0], rtol=1e-5, atol=1e-5)
    assert gradients[0][1].dtype == gradients[1][1].dtype == start.dtype
    tolerance = 1e-5 if dtype == "float32" else 2e-2
    torch.testing.assert_close(gradients[0][1], gradients[1][1], rtol=tolerance, atol=tolerance)
