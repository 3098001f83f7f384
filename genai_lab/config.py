"""Where everything lies and what may be reached: the environment, read once into one frozen value."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

from genai_lab.errors import BadSetting, LabError

PROJECT = Path(__file__).resolve().parents[1]
SHORTEST_PASSWORD = 8
DTYPES = ("auto", "float32", "bfloat16", "float16", "int8", "int4")


@dataclass(frozen=True)
class Config:
    """Settings of one lab. `memory_budget` is in bytes and bounds what loaded models may take together.

    `cpu_jobs` is how many jobs compute at once; `plugins` are modules that are imported when a lab opens, which add to
    the families (metrics, kinds of job). With an `owner_password` every page asks for it, except those of annotators
    and visitors.
    What a request says in X-Forwarded-For and X-Forwarded-Proto is believed from `trusted_proxies` alone.
    Endpoints at link-local addresses are refused unless `allow_link_local`. With `show_hidden_models` the catalogue
    lists models of hidden backends, such as the fake one, too. With `shelf` the app gets a first model for a new lab,
    with `measure` it times the first model of each size that is loaded.
    """

    home: Path = PROJECT / "lab_data"
    database_url: str = ""
    host: str = "127.0.0.1"
    port: int = 7860
    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    model_roots: tuple[Path, ...] = field(default_factory=tuple)
    device: str = "auto"
    dtype: str = "auto"
    memory_budget: int = 0
    cpu_jobs: int = 1
    plugins: tuple[str, ...] = ()
    owner_password: str = field(default="", repr=False)
    trusted_proxies: tuple[str, ...] = ()
    allow_link_local: bool = False
    show_hidden_models: bool = False
    shelf: bool = True
    measure: bool = True

    def __post_init__(self) -> None:
        home = _resolved(self.home)
        object.__setattr__(self, "home", home)
        url = self.database_url or f"sqlite:///{home / 'lab.db'}"
        # Hosted databases hand out addresses in this spelling, which SQLAlchemy does not know.
        object.__setattr__(self, "database_url", re.sub("^postgres://", "postgresql://", url))
        roots = tuple(map(_resolved, self.model_roots)) or (home / "models", Path.home())
        object.__setattr__(self, "model_roots", roots)
        if self.memory_budget < 0:
            raise BadSetting("memory_budget", self.memory_budget, "a number of bytes, or 0 for half of the memory")
        object.__setattr__(self, "memory_budget", self.memory_budget or _half_of_memory())
        if not 1 <= self.port <= 65535:
            raise BadSetting("port", self.port, "a whole number from 1 to 65535")
        if self.device not in ("auto", "cpu", "cuda", "mps"):
            raise BadSetting("device", self.device, "auto, cpu, cuda or mps")
        if self.dtype not in DTYPES:
            raise BadSetting("dtype", self.dtype, f"one of {', '.join(DTYPES)}")
        if self.owner_password and len(self.owner_password) < SHORTEST_PASSWORD:
            raise LabError(f"GENAI_LAB_OWNER_PASSWORD must have {SHORTEST_PASSWORD} characters at least.")
        if not 1 <= self.cpu_jobs <= 64:
            raise BadSetting("cpu_jobs", self.cpu_jobs, "a whole number from 1 to 64")
        object.__setattr__(self, "trusted_proxies", tuple(map(_proxy, self.trusted_proxies)))

    def environment(self) -> dict[str, str]:
        """The variables from which another process reads the same lab."""
        return {
            "GENAI_LAB_HOME": str(self.home),
            "DATABASE_URL": self.database_url,
            "GENAI_LAB_DEVICE": self.device,
            "GENAI_LAB_DTYPE": self.dtype,
            "GENAI_LAB_MEMORY_GB": str(self.memory_budget / 2**30),
            "GENAI_LAB_MODEL_ROOTS": os.pathsep.join(map(str, self.model_roots)),
            "GENAI_LAB_PLUGINS": ",".join(self.plugins),
            "GENAI_LAB_ALLOW_LINK_LOCAL": "1" if self.allow_link_local else "",
            "GENAI_LAB_SHOW_HIDDEN_MODELS": "1" if self.show_hidden_models else "",
        }

    @property
    def hub_cache(self) -> Path:
        return self.home / "hub"

    @property
    def uploads(self) -> Path:
        return self.home / "uploads"

    @property
    def jobs(self) -> Path:
        return self.home / "jobs"

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ, **overrides: Any) -> "Config":
        """The configuration that the variables name; an override that is not None wins.

        GENAI_LAB_HOME, DATABASE_URL, GENAI_LAB_HOST, GENAI_LAB_PORT, GENAI_LAB_ALLOWED_HOSTS (comma-separated),
        GENAI_LAB_MODEL_ROOTS (separated like PATH), GENAI_LAB_DEVICE, GENAI_LAB_DTYPE, GENAI_LAB_MEMORY_GB,
        GENAI_LAB_CPU_JOBS, GENAI_LAB_PLUGINS (comma-separated), GENAI_LAB_OWNER_PASSWORD, GENAI_LAB_TRUSTED_PROXIES
        (comma-separated), GENAI_LAB_ALLOW_LINK_LOCAL and GENAI_LAB_SHOW_HIDDEN_MODELS (1 or empty),
        GENAI_LAB_SHELF and GENAI_LAB_MEASURE (0 or empty).
        """
        values: dict[str, Any] = {}
        if text := env.get("GENAI_LAB_HOME"):
            values["home"] = Path(text)
        for name, variable in {
            "database_url": "DATABASE_URL",
            "host": "GENAI_LAB_HOST",
            "device": "GENAI_LAB_DEVICE",
            "dtype": "GENAI_LAB_DTYPE",
            "owner_password": "GENAI_LAB_OWNER_PASSWORD",
        }.items():
            if text := env.get(variable):
                values[name] = text
        if "owner_password" not in values and (text := env.get("GENAI_LAB_LEAD_PASSWORD")):  # its former name
            values["owner_password"] = text
        if text := env.get("GENAI_LAB_PORT"):
            values["port"] = _whole("GENAI_LAB_PORT", text)
        if text := env.get("GENAI_LAB_MEMORY_GB"):
            values["memory_budget"] = int(_number("GENAI_LAB_MEMORY_GB", text) * 2**30)
        if text := env.get("GENAI_LAB_CPU_JOBS"):
            values["cpu_jobs"] = _whole("GENAI_LAB_CPU_JOBS", text)
        if text := env.get("GENAI_LAB_ALLOW_LINK_LOCAL"):
            values["allow_link_local"] = text.strip().lower() in ("1", "true", "yes")
        if text := env.get("GENAI_LAB_SHOW_HIDDEN_MODELS"):
            values["show_hidden_models"] = text.strip().lower() in ("1", "true", "yes")
        if text := env.get("GENAI_LAB_SHELF"):
            values["shelf"] = text.strip().lower() not in ("0", "false", "no")
        if text := env.get("GENAI_LAB_MEASURE"):
            values["measure"] = text.strip().lower() not in ("0", "false", "no")
        if text := env.get("GENAI_LAB_PLUGINS"):
            values["plugins"] = tuple(part.strip() for part in text.split(",") if part.strip())
        if text := env.get("GENAI_LAB_ALLOWED_HOSTS"):
            values["allowed_hosts"] = (*cls.allowed_hosts, *(host.strip() for host in text.split(",")))
        if text := env.get("GENAI_LAB_TRUSTED_PROXIES"):
            values["trusted_proxies"] = tuple(part.strip() for part in text.split(",") if part.strip())
        if text := env.get("GENAI_LAB_MODEL_ROOTS"):
            values["model_roots"] = tuple(Path(part) for part in text.split(os.pathsep) if part)
        return cls(**values | {name: value for name, value in overrides.items() if value is not None})


def _resolved(path: Path) -> Path:
    try:
        return path.expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as problem:
        raise LabError(f"The folder {str(path)[:200]!r} cannot be found ({problem}); give another.") from None


def _proxy(text: str) -> str:
    """The network of a proxy's address."""
    network: IPv4Network | IPv6Network | None
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        network = None
    if network is None or not network.prefixlen:
        raise LabError(
            f"The trusted proxy {text[:100]!r} is neither an address such as 127.0.0.1 nor a network such as "
            "10.0.0.0/8; give the proxy's own."
        )
    return str(network)


def _number(name: str, text: str) -> float:
    """A number from 0 to 2**20, as gigabytes of memory are."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 2**20:
        raise _unusable(name, text, "a number, 0 or more")
    return value


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise _unusable(name, text, "a whole number") from None


def _unusable(name: str, text: str, rule: str) -> LabError:
    return LabError(f"The environment variable {name} is {text[:100]!r}, but it must be {rule}.")


def _half_of_memory() -> int:
    import psutil

    return psutil.virtual_memory().total // 2
