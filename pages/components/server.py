"""How the pages are served: uvicorn with bounds on connections, and forwarded headers from listed proxies alone."""

import functools
import logging
import math
import resource
import time
from typing import Any

import uvicorn

from genai_lab.config import Config
from pages.components.connections import BoundedProtocol, Bounds

FILES_WITHOUT_LIMIT = 65_536  # where the hard limit is infinite
RESERVED_FILES = 256  # for the database, models and jobs; connections share the rest
FEWEST_CONNECTIONS, MOST_CONNECTIONS, MOST_OF_ONE_ADDRESS = 64, 8192, 512
SILENT_SECONDS, MOST_REMEMBERED = 60.0, 200


def raise_file_limit() -> int:
    """Raises this process's soft limit on open files to the hard one; the limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WITHOUT_LIMIT if hard == resource.RLIM_INFINITY else hard
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        return soft
    return wanted


def bounds(files: int, proxies: tuple[str, ...] = ()) -> Bounds:
    """The bounds on connections where so many files may be open."""
    total = min(MOST_CONNECTIONS, max(FEWEST_CONNECTIONS, files - max(RESERVED_FILES, files // 4)))
    return Bounds(total, min(MOST_OF_ONE_ADDRESS, max(FEWEST_CONNECTIONS, total // 2)), proxies)


def settings(app: Any, config: Config, limits: Bounds) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=functools.partial(BoundedProtocol, limits),  # type: ignore[arg-type]
        ws="none",
        proxy_headers=bool(config.trusted_proxies),
        forwarded_allow_ips=list(config.trusted_proxies),
        log_config=None,
        log_level="warning",
        access_log=False,
        backlog=512,
        timeout_keep_alive=20,
        timeout_graceful_shutdown=2,
        server_header=False,
    )


class Once(logging.Filter):
    """Lets the same traceback pass once a minute; the next one says how many were left out."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.exc_info or record.exc_info[1] is None:
            return True
        problem, now = record.exc_info[1], time.monotonic()
        key = (record.name, type(problem).__name__, str(problem)[:200])
        since, left_out = self._seen.get(key, (-math.inf, 0))
        if now - since < SILENT_SECONDS:
            self._seen[key] = (since, left_out + 1)
            return False
        if len(self._seen) >= MOST_REMEMBERED:
            self._seen.clear()
        self._seen[key] = (now, 0)
        if left_out:
            record.msg = f"{record.getMessage()} (and {left_out:,} times more since it was last written here)"
            record.args = ()
        return True
