"""A web application served on loopback as app.py serves it, in a thread."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from genai_lab.config import Config

WAIT = 120.0


@contextmanager
def serving(web: Any, config: Config, limits: Any = None) -> Iterator[str]:
    """The address of `web` while it is served."""
    import uvicorn

    from genai_lab.web import server

    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen(128)
        settings = server.uvicorn_config(web, config, limits or server.connection_bounds(4096, config.trusted_proxies))
        server_thread = uvicorn.Server(settings)
        thread = threading.Thread(target=server_thread.run, args=([door],), daemon=True)
        thread.start()
        while not server_thread.started and thread.is_alive():
            time.sleep(0.01)
        yield f"http://127.0.0.1:{door.getsockname()[1]}"
        server_thread.should_exit = True
        thread.join(10)


def opened(address: str, sent: str) -> socket.socket:
    """A connection on which `sent` has been sent."""
    host, _, port = address[7:].partition(":")
    line = socket.create_connection((host, int(port)), timeout=WAIT)
    line.sendall(sent.encode())
    return line
