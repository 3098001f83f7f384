"""The real app in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from tests.waiting import until_served

ROOT = Path(__file__).resolve().parents[2]


class RunningApp:
    """The app on a free port with its data in `home`; it can be killed and started again at the same address."""

    def __init__(self, home: Path, model_roots: list[Path], **env: str) -> None:
        self.home, self.log = home, home / "app.log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        roots = os.pathsep.join(map(str, model_roots))
        self.env = {**os.environ, "GENAI_LAB_HOME": str(home), "GENAI_LAB_MODEL_ROOTS": roots, **env}
        self.env.pop("DATABASE_URL", None)
        self.start()

    def start(self) -> None:
        command = [sys.executable, "app.py", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.env, stdout=log, stderr=log)
        if not until_served(self.answers, psutil.Process(self.process.pid)):
            pytest.fail(f"the app did not open:\n{self.log.read_text()[-3000:]}")

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health").status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
