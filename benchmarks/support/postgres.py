"""Debian's PostgreSQL server in a temporary folder, for benchmarks that need one."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

INSTALL = "PostgreSQL's server is not installed; `apt-get install postgresql` brings it"


class Missing(Exception):
    """There is no server, or no user to run it as."""


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Starts a server of its own and gives the URL of an empty database; raises Missing."""
    tools = programs()
    user = _user()
    folder = Path(tempfile.mkdtemp(prefix="soak-pg"))
    if user:
        shutil.chown(folder, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def call(program: str, *arguments: str) -> None:
        command = [str(tools / program), *arguments]
        process = subprocess.run(command, cwd=folder, user=user, capture_output=True, text=True, check=False)
        if process.returncode:
            raise Missing(f"PostgreSQL's {program} failed: {process.stderr.strip()[-300:]}")

    try:
        call("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "lab", "-E", "UTF8", "--no-sync")
        arguments = f"-k {folder} -p {port} -c listen_addresses=127.0.0.1"
        call("pg_ctl", "-D", str(folder / "data"), "-l", str(folder / "log"), "-w", "-o", arguments, "start")
        try:
            call("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "lab", "lab")
            yield f"postgresql+psycopg://lab@127.0.0.1:{port}/lab"
        finally:
            call("pg_ctl", "-D", str(folder / "data"), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def programs() -> Path:
    """The folder of the newest server's programs."""
    result = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    plain = shutil.which("pg_ctl")
    if not result and not plain:
        raise Missing(INSTALL)
    return (result[-1] if result else Path(str(plain)).resolve()).parent


def _user() -> str | None:
    """PostgreSQL refuses to be run by root."""
    if os.geteuid():
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise Missing("PostgreSQL cannot be run by root, and there is no other user")
