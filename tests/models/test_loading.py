"""Models that several threads read at the same time are whole, and so are those read after them."""

import threading
from pathlib import Path
from typing import Any

import torch

from genai_lab.models import Card, Options, Source
from genai_lab.models.local import load_folder
from tests.tiny import random_model


def test_threads_that_read_tied_models_together_lose_no_weight(tmp_path: Path, monkeypatch: Any) -> None:
    import transformers
    from transformers import AutoModelForCausalLM

    folder = random_model(tmp_path / "tied")
    module = AutoModelForCausalLM.from_pretrained(folder)
    module.config.tie_word_embeddings = True
    module.tie_weights()
    module.save_pretrained(folder)
    card = Card("tied", Source("local", str(folder)), "generate", "decoder-only", "LlamaForCausalLM", path=folder)
    own = transformers.PreTrainedModel.tie_weights
    inside: list[int] = []
    most: list[int] = []
    read = AutoModelForCausalLM.from_pretrained

    def counted(*args: Any, **more: Any) -> Any:
        inside.append(1)
        most.append(len(inside))
        try:
            return read(*args, **more)
        finally:
            inside.pop()

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", counted)
    loaded: list[Any] = []
    start = threading.Barrier(4)

    def load() -> None:
        start.wait()
        loaded.append(load_folder(card, Options(device="cpu", roots=(tmp_path,))))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loaded) == 4
    assert max(most) == 1
    assert transformers.PreTrainedModel.tie_weights is own
    for generator in loaded:
        assert torch.equal(generator.module.lm_head.weight, generator.module.model.embed_tokens.weight)
        generator.close()
