"""A model small enough for every test: random weights, real files, real decoding."""

import atexit
import functools
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.models import Source
from genai_lab.models.cache import ModelCache
from genai_lab.services import models

CHAT = "{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }}\n{% endfor %}<assistant> "


@functools.cache
def template_home() -> Path:
    """A home as the first start of a lab leaves it, made once per test process."""
    home = Path(tempfile.mkdtemp(prefix="lab-template-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT"))) / "home"
    atexit.register(shutil.rmtree, home.parent, ignore_errors=True)
    bootstrap.open_lab(Config(home=home)).close()
    return home


def open_new(config: Config) -> LabContext:
    """Opens a lab; a new home is a copy of the template, which spares migrations and starters."""
    database = config.home / "lab.db"
    if config.database_url == f"sqlite:///{database}" and not database.exists():
        shutil.copytree(template_home(), config.home, dirs_exist_ok=True)
    return bootstrap.open_lab(config)


def random_model(folder: Path, *, chat: bool = False, seed: int = 0) -> Path:
    """A Llama of 20,000 random parameters with a byte-level tokenizer; returns the folder that it was written to."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(seed)
    raw = ByteLevelBPETokenizer()
    raw.train_from_iterator(["Once upon a time there was a small model."], vocab_size=300, special_tokens=["</s>"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw._tokenizer, eos_token="</s>", pad_token="</s>")
    if chat:
        tokenizer.chat_template = CHAT
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=512,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def loaded_generator(cache: ModelCache, name: str) -> Any:
    """The generator that a cache holds for a model, without the handle that `acquire` gives."""
    return next(entry.generator for entry in cache._entries.values() if entry.card.name == name)


def open_lab(home: Path, **folders: Path) -> LabContext:
    """A lab with a new home in which the model folders stand under their names.

    Its database is a file there, or what TEST_DATABASE_URL names, which must be empty: so the services' tests run on
    PostgreSQL too.
    """
    url, roots = os.environ.get("TEST_DATABASE_URL", ""), tuple({f.parent for f in folders.values()})
    lab = open_new(Config(home=home, database_url=url, device="cpu", dtype="float32", model_roots=roots))
    for name, folder in folders.items():
        models.add(lab, name, Source("local", str(folder)))
    return lab
