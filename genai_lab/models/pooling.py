"""How an encoder's token vectors become one vector of a text, as a sentence-transformers folder says; without torch.

Reimers and Gurevych, Sentence-BERT, EMNLP 2019. The folder's files are read here: modules.json, the pooling's
config.json, sentence_bert_config.json and config_sentence_transformers.json.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from genai_lab.errors import ModelError
from genai_lab.models.checks import parse_object, read_json

MODULES, LENGTHS, PROMPTS = "modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"
POOLING_FILES = (MODULES, LENGTHS, PROMPTS)
LONGEST_LIST = 100_000  # bytes of modules.json
PoolingMode = Literal["mean", "cls", "max", "mean_sqrt_len", "lasttoken"]
MODES: dict[str, PoolingMode] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len",
    "pooling_mode_lasttoken": "lasttoken",
}


@dataclass(frozen=True)
class Pooling:
    """`longest` in tokens; `prompt` stands before every text; `normalise` gives vectors the length 1."""

    mode: PoolingMode = "mean"
    normalise: bool = True
    longest: int | None = None
    lower_case: bool = False
    prompt: str = ""

    @property
    def signature(self) -> str:
        """Everything beside the weights that decides a vector."""
        parts = [self.mode, "normalised" if self.normalise else "as it is"]
        parts += [f"{self.longest} tokens"] if self.longest else []
        parts += ["lower case"] if self.lower_case else []
        return ", ".join([*parts, f"after {self.prompt!r}"] if self.prompt else parts)


def is_sentence_model(folder: Path) -> bool:
    """Whether the folder says how its token vectors become one."""
    return (folder / MODULES).is_file()


def read_pooling(folder: Path) -> Pooling:
    """The folder's own pooling, or the mean of all tokens, normalised, where it names none.

    Raises ModelError for a part that the lab does not compute.
    """
    if not is_sentence_model(folder):
        return Pooling()
    mode: PoolingMode | None = None
    normalise = False
    for module in _modules(folder):
        kind = str(module.get("type", "")).rpartition(".")[2]
        if kind == "Pooling":
            mode = _mode(read_json(folder / _inside(str(module.get("path", "")), folder) / "config.json"), folder)
        elif kind == "Normalize":
            normalise = True
        elif kind != "Transformer":
            raise ModelError(
                f"{folder} has a part {kind or 'without type'!r} after its encoder, which the lab does not compute; "
                "choose a model with pooling and normalisation alone."
            )
    settings = _optional(folder / LENGTHS)
    longest = settings.get("max_seq_length")
    return Pooling(
        mode or "mean",
        normalise,
        longest if isinstance(longest, int) and longest > 0 else None,
        bool(settings.get("do_lower_case")),
        _prompt(_optional(folder / PROMPTS)),
    )


def pooling_files(folder: Path) -> list[Path]:
    """The files that `read_pooling` reads, of those that are there."""
    if not is_sentence_model(folder):
        return []
    paths = [folder / name for name in POOLING_FILES]
    paths += [folder / _inside(str(module.get("path", "")), folder) / "config.json" for module in _modules(folder)[1:]]
    return [path for path in paths if path.is_file()]


def _modules(folder: Path) -> list[dict[str, Any]]:
    path = folder / MODULES
    content = path.read_bytes()[:LONGEST_LIST]
    modules = parse_object(b'{"modules": ' + content + b"}", str(path))["modules"]
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise ModelError(f"{path} is not a list of parts; download or save it again.")
    return modules


def _mode(config: dict[str, Any], folder: Path) -> PoolingMode:
    named = config.get("pooling_mode")
    modes = [mode for key, mode in MODES.items() if config.get(key) is True or mode == named]
    unknown = [key for key in config if key.startswith("pooling_mode_") and config[key] is True and key not in MODES]
    if len(set(modes)) != 1 or unknown:
        names = ", ".join([*modes, *unknown]) or str(named or "nothing")
        raise ModelError(f"{folder} pools by {names}; the lab computes one of {', '.join(MODES.values())}.")
    return modes[0]


def _inside(path: str, folder: Path) -> str:
    """A module's folder, which must lie within the model's."""
    if not (folder / path).resolve().is_relative_to(folder.resolve()):
        raise ModelError(f"{folder / MODULES} names a place outside the folder; choose another model.")
    return path


def _prompt(config: dict[str, Any]) -> str:
    prompts, name = config.get("prompts"), config.get("default_prompt_name")
    text = prompts.get(name) if isinstance(prompts, dict) and isinstance(name, str) else None
    return text if isinstance(text, str) else ""


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}
