"""Serves the application: uvicorn with bounds on connections, and forwarded headers from listed proxies alone."""

import functools
import logging
import math
import resource
import time
from typing import Any

import uvicorn

from genai_lab.config import Config
from genai_lab.web.connections import BoundedProtocol, Bounds

FILES_WITHOUT_LIMIT = 65_536  # where the hard limit is infinite
RESERVED_FILES = 256  # for the database, models and jobs; connections share the rest
MIN_CONNECTIONS, MAX_CONNECTIONS, MAX_PER_ADDRESS = 64, 8192, 512
SILENT_SECONDS, MAX_TRACEBACKS = 60.0, 200


def raise_file_limit() -> int:
    """Raises this process's soft limit on open files to the hard one and returns the limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = FILES_WITHOUT_LIMIT if hard == resource.RLIM_INFINITY else hard
    if soft == resource.RLIM_INFINITY or soft >= target:
        return target
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    except (OSError, ValueError):
        return soft
    return target


def connection_bounds(open_files: int, proxies: tuple[str, ...] = ()) -> Bounds:
    """The bounds on connections for this limit on open files."""
    total = min(MAX_CONNECTIONS, max(MIN_CONNECTIONS, open_files - max(RESERVED_FILES, open_files // 4)))
    return Bounds(total, min(MAX_PER_ADDRESS, max(MIN_CONNECTIONS, total // 2)), proxies)


def uvicorn_config(app: Any, config: Config, bounds: Bounds) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=functools.partial(BoundedProtocol, bounds),  # type: ignore[arg-type]
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


class RepeatFilter(logging.Filter):
    """Lets the same traceback pass once a minute; the next one says how many were omitted."""

    def __init__(self) -> None:
        super().__init__()
        self._tracebacks: dict[tuple[str, str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.exc_info or record.exc_info[1] is None:
            return True
        problem, now = record.exc_info[1], time.monotonic()
        key = (record.name, type(problem).__name__, str(problem)[:200])
        since, omitted = self._tracebacks.get(key, (-math.inf, 0))
        if now - since < SILENT_SECONDS:
            self._tracebacks[key] = (since, omitted + 1)
            return False
        if len(self._tracebacks) >= MAX_TRACEBACKS:
            self._tracebacks.clear()
        self._tracebacks[key] = (now, 0)
        if omitted:
            record.msg = f"{record.getMessage()} (and {omitted:,} more times since the last one was logged)"
            record.args = ()
        return True
