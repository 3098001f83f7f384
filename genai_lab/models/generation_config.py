"""The generation settings that a model's authors ship with it, read from generation_config.json without torch."""

from pathlib import Path
from typing import Any

from genai_lab.decoding import Sampling
from genai_lab.errors import BadSetting, ModelError
from genai_lab.models.checks import read_json

FILE = "generation_config.json"
# What `Sampling` has in common with transformers.
NAMES = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "repetition_penalty",
    "no_repeat_ngram_size",
    "num_beams",
    "max_new_tokens",
)
SHAPES = ("temperature", "top_k", "top_p", "min_p", "typical_p")
LONGEST = 4096
LARGEST_K = 1000
# What transformers writes as the length of a whole text where nobody has chosen one.
UNCHOSEN_LENGTH = 20


def generation_settings(folder: Path | None, *, encoder_decoder: bool = False) -> dict[str, Any]:
    """The settings of `Sampling` that the folder's generation_config.json states; {} where it states none.

    A value that no setting can have is passed over, and so is a file that cannot be read: loading tells of that.
    """
    if folder is None or not (folder / FILE).is_file():
        return {}
    try:
        stated = read_json(folder / FILE)
    except ModelError:
        return {}
    settings: dict[str, Any] = {}
    for name in NAMES:
        value = _usable(name, stated.get(name))
        if value is not None:
            settings[name] = value
    if encoder_decoder and "max_new_tokens" not in settings and stated.get("max_length") != UNCHOSEN_LENGTH:
        length = _usable("max_new_tokens", stated.get("max_length"))
        settings |= {"max_new_tokens": length} if length else {}
    stop = stated.get("stop_strings")
    texts = (stop,) if isinstance(stop, str) else tuple(stop) if isinstance(stop, list) else ()
    if texts and all(isinstance(text, str) and 0 < len(text) <= 200 for text in texts) and len(texts) <= 16:
        settings["stop"] = texts
    return settings | _drawing(stated, settings)


def _drawing(stated: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Whether to sample: as stated; a file that shapes the distribution without a temperature means 1."""
    if stated.get("do_sample") is False or stated.get("temperature") == 0:
        return {"greedy": True}
    if stated.get("do_sample") is True or any(name in settings for name in SHAPES):
        return {"greedy": False} | ({} if "temperature" in settings else {"temperature": 1.0})
    return {"greedy": True} if settings.get("num_beams", 1) > 1 else {}


def _usable(name: str, value: Any) -> Any:
    """The value as `Sampling` takes it, None for one that it cannot take."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e9 < value < 1e9:
        return None
    if name in ("top_k", "no_repeat_ngram_size", "num_beams", "max_new_tokens"):
        if value != int(value):
            return None
        value = min(int(value), {"top_k": LARGEST_K, "max_new_tokens": LONGEST}.get(name, 2**31))
    try:
        Sampling(**{name: value})
    except BadSetting:
        return None
    return value
