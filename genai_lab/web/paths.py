"""The addresses that this layer answers itself."""

from collections.abc import Iterable
from pathlib import Path

from genai_lab.services.feedback import demos, links

STATIC = Path(__file__).parent / "static"
SHARED = STATIC / "shared"  # fonts, the icon and the style sheet of short messages

RANKING, DEMO = links.ADDRESS, demos.ADDRESS
SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
FORMER_SIGN_IN = "/lead"  # bookmarks of older labs
ASSETS = "/lab-assets"
# Pages of our own that anybody with a link may open, and the routes that need no password.
OWN_PAGES = (RANKING, DEMO, SIGN_IN, SIGN_OUT, FORMER_SIGN_IN)
PUBLIC = (*OWN_PAGES, ASSETS, "/health", "/favicon.ico")


def is_below(path: str, prefixes: Iterable[str]) -> bool:
    """Whether a path is one of these prefixes or lies below one."""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in prefixes)
