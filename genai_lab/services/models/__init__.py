"""The catalogue: what can be used, where it came from, what is loaded; adding, downloading, archiving."""

from genai_lab.models.cache import LoadedState
from genai_lab.models.loading import LoadProgress
from genai_lab.services.downloads import Download
from genai_lab.services.models.catalogue import (
    add,
    archive,
    catalogue,
    check_source,
    complete_source,
    detect_source,
    register_starters,
    remove,
    reserve,
    restore,
    show,
)
from genai_lab.services.models.converting import Conversion, GgufSource, convert, convert_model, gguf_source, torch_copy
from genai_lab.services.models.downloading import cancel_download, download, downloads, start_download
from genai_lab.services.models.hashing import hash_in_background, with_hash
from genai_lab.services.models.loading import (
    Budget,
    budget,
    load,
    load_apart,
    load_watched,
    placed,
    prompt_for,
    unload,
)
from genai_lab.services.models.measuring import (
    choose_dtype,
    dtypes,
    measure,
    measure_in_background,
    measure_watched,
)
from genai_lab.services.models.records import (
    ModelView,
    Status,
    card_of,
    check_ready,
    checked_name,
    free_name,
    options,
    update_row,
)

__all__ = [
    "Budget",
    "Conversion",
    "Download",
    "GgufSource",
    "LoadProgress",
    "LoadedState",
    "ModelView",
    "Status",
    "add",
    "archive",
    "budget",
    "cancel_download",
    "card_of",
    "catalogue",
    "check_ready",
    "check_source",
    "checked_name",
    "choose_dtype",
    "complete_source",
    "convert",
    "convert_model",
    "detect_source",
    "download",
    "downloads",
    "dtypes",
    "free_name",
    "gguf_source",
    "hash_in_background",
    "load",
    "load_apart",
    "load_watched",
    "measure",
    "measure_in_background",
    "measure_watched",
    "options",
    "placed",
    "prompt_for",
    "register_starters",
    "remove",
    "reserve",
    "restore",
    "show",
    "start_download",
    "torch_copy",
    "unload",
    "update_row",
    "with_hash",
]
