"""Opens the lab and serves its pages: `python app.py`, then http://127.0.0.1:7860."""

import argparse
import gc
import logging
import os
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from genai_lab.cli.base import Parser, folder
from genai_lab.config import Config
from genai_lab.errors import LabError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from genai_lab.context import LabContext

# Seconds. A decoding step asks for the interpreter dozens of times; while pages are updated, Python's 5 ms each time
# would take several times as long as the step.
SWITCH_INTERVAL = 0.0005


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        config = read_config(options)
        bound_socket = bind_socket(config)
    except LabError as problem:
        print(f"app.py: {problem}", file=sys.stderr)
        return 2
    with bound_socket:
        return serve(config, bound_socket)


def read_config(options: argparse.Namespace) -> Config:
    """The configuration of these options. Raises LabError where it would open the lab to everybody by accident."""
    config = Config.from_environment(os.environ, home=options.home, host=options.host, port=options.port)
    if options.allow_host:
        config = replace(config, allowed_hosts=(*config.allowed_hosts, *options.allow_host))
    if options.trusted_proxy:
        config = replace(config, trusted_proxies=(*config.trusted_proxies, *options.trusted_proxy))
    if not _loopback(config.host) and not config.owner_password:
        raise LabError(
            f"The host {config.host!r} would let everybody on the network be the owner of this lab; set a password of "
            "8 characters or more in GENAI_LAB_OWNER_PASSWORD, or leave --host at 127.0.0.1."
        )
    outside = [
        name for name in config.allowed_hosts if name and name not in Config.allowed_hosts and not _loopback(name)
    ]
    if outside and not config.owner_password:
        raise LabError(
            f"Whoever reaches this lab as {outside[0]!r} would be its owner; set a password of 8 characters or more in "
            "GENAI_LAB_OWNER_PASSWORD, or allow no host but this machine."
        )
    if not _loopback(config.host) and set(config.allowed_hosts) <= set(Config.allowed_hosts):
        raise LabError(
            f"The host {config.host!r} would open this lab to everybody on the network; name the addresses that it "
            "may be reached by with --allow-host NAME, or leave --host at 127.0.0.1."
        )
    return config


def bind_socket(config: Config) -> socket.socket:
    """A bound socket. Raises LabError where the port is taken, before anything slow is imported."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0]
    except OSError:
        raise LabError(f"The host {config.host} is not an address of this machine; use --host 127.0.0.1.") from None
    bound_socket = socket.socket(family, kind, protocol)
    bound_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound_socket.bind(address)
        bound_socket.listen(128)
    except OSError as problem:
        bound_socket.close()
        raise LabError(
            f"Port {config.port} on {config.host} cannot be used ({problem.strerror}); choose another with --port."
        ) from None
    return bound_socket


def create(lab: "LabContext") -> "FastAPI":
    """The web application of an open lab."""
    import pages
    from pages.mount import mount

    return mount(lab, pages.build)


def serve(config: Config, bound_socket: socket.socket) -> int:
    """Serves until interrupted; returns 2 where the lab cannot be opened."""
    os.umask(0o077)  # files written from here on can be read by their owner alone
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.disable()  # imports and pages stay: collecting garbage among them would take a tenth of the start
    import uvicorn

    from genai_lab import bootstrap
    from genai_lab.provenance import provenance
    from genai_lab.services import models
    from genai_lab.services.feedback import warming
    from genai_lab.services.jobs.supervisor import Supervisor
    from genai_lab.services.models import first_model
    from genai_lab.web import server

    for handler in logging.getLogger().handlers:
        handler.addFilter(server.RepeatFilter())
    files = server.raise_file_limit()

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            print(f"genai_lab is open at http://{_shown(config.host)}:{config.port} (stop with Ctrl+C)", flush=True)

    try:
        lab = bootstrap.open_lab(config)
        supervisor = Supervisor(lab)
    except LabError as problem:
        print(f"app.py: {problem}", file=sys.stderr)
        return 2
    supervisor.start()
    try:
        application = create(lab)
        first_model.get_first(lab, tell=lambda line: print(line, flush=True))
        models.measure_in_background(lab)
        threading.Thread(target=provenance, name="provenance", daemon=True).start()  # the first run waits for no git
        warming.warm_open(lab)
        gc.freeze()
        gc.enable()
        limits = server.connection_bounds(files, config.trusted_proxies)
        Server(server.uvicorn_config(application, config, limits)).run(sockets=[bound_socket])
    except KeyboardInterrupt:
        return 130
    finally:
        supervisor.stop()
        lab.close()
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="app.py",
        description="Opens the lab in a browser page.",
        epilog="Environment: GENAI_LAB_HOME, DATABASE_URL, GENAI_LAB_HOST, GENAI_LAB_PORT, GENAI_LAB_ALLOWED_HOSTS "
        "(comma-separated), GENAI_LAB_MODEL_ROOTS (separated like PATH), GENAI_LAB_DEVICE (auto, cpu, cuda, "
        "mps), GENAI_LAB_DTYPE (auto, float32, bfloat16, float16, int8, int4), GENAI_LAB_MEMORY_GB, "
        "GENAI_LAB_CPU_JOBS (jobs that compute at once), GENAI_LAB_SHELF (0: a new lab gets no model), "
        "GENAI_LAB_MEASURE (0: no model's speed is measured by itself), "
        "GENAI_LAB_PLUGINS (modules to import, "
        "comma-separated), GENAI_LAB_OWNER_PASSWORD (asked for on every page except those of annotators and "
        "visitors), GENAI_LAB_TRUSTED_PROXIES (comma-separated). A flag "
        "wins over its variable.",
    )
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default: 7860)")
    parser.add_argument("--home", type=folder, help="data home: database, models, uploads (default: lab_data)")
    parser.add_argument(
        "--allow-host", action="append", metavar="NAME", help="a name that others reach this lab by; may be repeated"
    )
    parser.add_argument(
        "--trusted-proxy",
        action="append",
        metavar="ADDRESS",
        help="address or network of a reverse proxy whose X-Forwarded headers are believed; may be repeated",
    )
    return parser


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    sys.exit(main())
