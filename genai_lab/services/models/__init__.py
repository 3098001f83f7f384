"""The catalogue: what can be used, where it came from, what is loaded; adding, downloading, archiving."""

from genai_lab.models.cache import LoadedState
from genai_lab.services.downloads import Download, HubPlan, hub_size
from genai_lab.services.models.catalogue import (
    add,
    archive,
    catalogue,
    detect_source,
    folders,
    register_starters,
    remove,
    reserve,
    restore,
    show,
)
from genai_lab.services.models.downloading import cancel_download, download, downloads, start_download
from genai_lab.services.models.hashing import hash_in_background, with_hash
from genai_lab.services.models.loading import Budget, budget, check_ready, load, load_apart, prompt_for, unload
from genai_lab.services.models.records import ModelView, Status, card_of, checked_name, options, update_row

__all__ = [
    "Budget",
    "Download",
    "HubPlan",
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
    "checked_name",
    "detect_source",
    "download",
    "downloads",
    "folders",
    "hash_in_background",
    "hub_size",
    "load",
    "load_apart",
    "options",
    "prompt_for",
    "register_starters",
    "remove",
    "reserve",
    "restore",
    "show",
    "start_download",
    "unload",
    "update_row",
    "with_hash",
]
