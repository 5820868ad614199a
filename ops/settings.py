"""The one place in ops that reads the environment and `.env`; rooms get plain arguments, never Settings."""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import os
import re
import secrets
import sys
import tempfile
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from ops import people_settings, railway_settings, sales_settings, vision_settings
from ops.errors import OperatorError
from ops.people_settings import PeopleSettings
from ops.railway_settings import RailwaySettings
from ops.sales_settings import SalesSettings
from ops.variables import listed
from ops.vision_settings import VisionSettings

DEFAULT_DEVICE_NAME = "Entrance Camera"
DEFAULT_KAFKA_PORT = 9092
LONGEST_SOCKET_PATH = 100  # sockaddr_un holds 104 bytes on macOS, 108 on Linux
PUBLISHED_TOKEN = "changeme-admin-token"  # noqa: S105 - seed 002's default, known to everybody
LOOPBACK_NAMES = frozenset({"localhost"})

log = logging.getLogger(__name__)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set, checked; `load` makes one.

    kafka_bootstrap and database_url are None where the embedded servers are meant (see ops.state.connected);
    kafka_heap and kafka_performance are options of the embedded broker's JVM, none where its own defaults are meant.
    """

    home: Path
    cache: Path
    port: int = 8000
    further_ports: tuple[int, ...] = ()
    host: str = "127.0.0.1"
    kafka_bootstrap: str | None = None
    kafka_port: int | None = None
    kafka_heap: tuple[str, ...] = ()
    kafka_performance: tuple[str, ...] = ()
    database_url: str | None = None
    admin_token: str = field(default="", repr=False)
    admin_token_given: bool = False
    cors_origins: tuple[str, ...] = ()
    trusted_networks: tuple[Network, ...] = ()
    site_timezone: str = "UTC"
    device_names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    schema_registry_url: str | None = None
    sales: SalesSettings = field(default_factory=SalesSettings)
    railway: RailwaySettings = field(default_factory=RailwaySettings)
    people: PeopleSettings = field(default_factory=PeopleSettings)
    vision: VisionSettings = field(default_factory=VisionSettings)

    @property
    def base_url(self) -> str:
        """The address that people open; a wildcard host is shown as loopback."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{self.port}"

    @property
    def personal_keys(self) -> Path:
        """File of the keys that seal personal data (mode 0600)."""
        return self.home / "personal-keys"

    @property
    def admin_token_file(self) -> Path:
        """File of the generated admin token (mode 0600)."""
        return self.home / "admin-token"

    @property
    def audio_folder(self) -> Path:
        """Where recorded audio lies; below the home unless AUDIO_STORAGE_PATH says otherwise."""
        return self.sales.audio_folder or self.home / "audio_storage"

    @property
    def static_folder(self) -> Path:
        """Where `/static` serves from; below the home unless STATIC_PATH says otherwise."""
        return self.railway.static_folder or self.home / "static"

    @property
    def jwt_secret_file(self) -> Path:
        """File of the generated secret that signs users' tokens (mode 0600)."""
        return self.home / "jwt-secret"

    @property
    def asr_socket(self) -> Path:
        """Where the process `asr` listens for asr workers elsewhere; the front door passes their requests on.

        Beside the other run files, or in a short folder of this user where that path is too long for a socket.
        """
        beside = self.home / "run" / "asr.sock"
        if len(str(beside)) <= LONGEST_SOCKET_PATH:
            return beside
        mark = hashlib.sha256(str(self.home).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"sensorium-{os.getuid()}-{mark}" / "asr.sock"

    @property
    def run_dir(self) -> Path:
        """Lock, state and readiness files of a running `sensorium up`."""
        return self.home / "run"

    @property
    def log_dir(self) -> Path:
        """One log file per service."""
        return self.home / "logs"

    def device_name(self, device_id: str) -> str:
        """The name shown for a device; seed 001's default where none is set."""
        return self.device_names.get(device_id, DEFAULT_DEVICE_NAME)


def load(environ: Mapping[str, str] | None = None, dotenv_path: Path | None = Path(".env")) -> Settings:
    """Read and check every setting; the environment wins over `.env`. OperatorError names the bad variable."""
    env = {**_dotenv(dotenv_path), **(os.environ if environ is None else environ)}
    env = {name: value.strip() for name, value in env.items() if value.strip()}
    home = _path(env, "SENSORIUM_HOME", ".sensorium")
    settings = Settings(
        home=home,
        cache=_path(env, "SENSORIUM_CACHE", str(_default_cache(env))),
        port=_port(env, "SENSORIUM_PORT") or 8000,
        further_ports=_further_ports(env),
        host=env.get("SENSORIUM_HOST", "127.0.0.1"),
        kafka_bootstrap=_bootstrap(env),
        kafka_port=_port(env, "KAFKA_PORT"),
        kafka_heap=_options(env, "KAFKA_HEAP_OPTS"),
        kafka_performance=_options(env, "KAFKA_JVM_PERFORMANCE_OPTS"),
        database_url=_database_url(env),
        admin_token=_admin_token(env),
        admin_token_given="ADMIN_TOKEN" in env,
        cors_origins=_origins(env),
        trusted_networks=_networks(env),
        site_timezone=_timezone(env),
        device_names=_device_names(env),
        schema_registry_url=_url(env, "SCHEMA_REGISTRY_URL"),
        sales=sales_settings.read(env),
        railway=railway_settings.read(env),
        people=people_settings.read(env),
        vision=vision_settings.read(env),
    )
    check_exposure(settings)
    if settings.admin_token == PUBLISHED_TOKEN:
        log.warning("ADMIN_TOKEN is the published default, which everybody knows: choose your own before others come.")
    return settings if settings.admin_token else replace(settings, admin_token=_stored_token(settings.admin_token_file))


def check_exposure(settings: Settings) -> None:
    """Refuse an address that others can reach while nothing says whom to let in, or what says it is known to all."""
    if is_loopback(settings.host):
        return
    if settings.admin_token == PUBLISHED_TOKEN:
        raise OperatorError(
            f"ADMIN_TOKEN is the published default, with which anybody who reaches SENSORIUM_HOST={settings.host} is "
            "an administrator: choose your own, or leave it out and one is made."
        )
    if settings.trusted_networks or settings.admin_token_given:
        return
    raise OperatorError(
        f"SENSORIUM_HOST={settings.host} can be reached from other machines: set TRUSTED_NETWORKS (for example "
        "192.168.0.0/16) to say which devices may post without a token, or set ADMIN_TOKEN."
    )


def is_loopback(host: str) -> bool:
    """Whether a host name or address can be reached from this machine only."""
    if host in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def child_environment(overrides: Mapping[str, str]) -> dict[str, str]:
    """Return our own environment (proxy and certificate variables included) with overrides, for a child process."""
    return {**os.environ, **overrides}


def share_certificates() -> None:
    """Let the downloads (requests) trust the bundle that OpenSSL's clients were told to trust."""
    bundle = os.environ.get("SSL_CERT_FILE")
    if bundle and not os.environ.get("REQUESTS_CA_BUNDLE"):
        os.environ["REQUESTS_CA_BUNDLE"] = bundle


def _dotenv(path: Path | None) -> dict[str, str]:
    if path is None or not path.is_file():
        return {}
    from dotenv import dotenv_values

    return {name: value for name, value in dotenv_values(path, interpolate=False).items() if value is not None}


def _path(env: Mapping[str, str], name: str, default: str) -> Path:
    path = Path(env.get(name, default)).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise OperatorError(f"{name}={path} is a file; a directory is needed.")
    return path


def _default_cache(env: Mapping[str, str]) -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "sensorium"
    return Path(env.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))) / "sensorium"


def _port(env: Mapping[str, str], name: str) -> int | None:
    text = env.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise OperatorError(f"{name}={text} is not a port: a number from 1 to 65535 is needed.")
    return int(text)


def _options(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Options of a JVM, as Kafka's own scripts take them."""
    options = tuple(env.get(name, "").split())
    if wrong := [one for one in options if not one.startswith("-")]:
        raise OperatorError(f"{name} has {wrong[0]!r}: write options of a JVM, such as -Xmx1g, with spaces between.")
    return options


def _further_ports(env: Mapping[str, str]) -> tuple[int, ...]:
    """Where the seeds' own clients look for a page or an API: the same origin is served there as well."""
    asked = (_port(env, "PORT"), _port(env, "DASHBOARD_PORT"))
    main = _port(env, "SENSORIUM_PORT") or 8000
    return tuple(dict.fromkeys(port for port in asked if port is not None and port != main))


def _bootstrap(env: Mapping[str, str]) -> str | None:
    text = env.get("KAFKA_BOOTSTRAP_SERVERS")
    for server in (text or "").split(",") if text else ():
        host, _, port = server.strip().rpartition(":")
        if not host or not port.isdigit():
            raise OperatorError(
                f"KAFKA_BOOTSTRAP_SERVERS={text} is not a list of host:port, for example 127.0.0.1:9092."
            )
    return text


def _database_url(env: Mapping[str, str]) -> str | None:
    # Seed 002 names its driver, too; which one we use is our affair.
    text = re.sub(r"^(postgres(?:ql)?)\+\w+://", r"\1://", env.get("DATABASE_URL", "")) or None
    if text and not text.startswith(("postgresql://", "postgres://")):
        raise OperatorError("DATABASE_URL must begin with postgresql://, for example postgresql://user@host:5432/name.")
    return text


def _url(env: Mapping[str, str], name: str) -> str | None:
    text = env.get(name)
    if text and not text.startswith(("http://", "https://")):
        raise OperatorError(f"{name}={text} is not an address: it must begin with http:// or https://.")
    return text


def _origins(env: Mapping[str, str]) -> tuple[str, ...]:
    origins = listed(env.get("CORS_ORIGINS", ""))
    for origin in origins:
        if origin != "*" and not origin.startswith(("http://", "https://")):
            raise OperatorError(
                f"CORS_ORIGINS has {origin!r}: write http:// or https:// origins (or *), separated by commas."
            )
    return tuple(origin.rstrip("/") for origin in origins)


def _networks(env: Mapping[str, str]) -> tuple[Network, ...]:
    return tuple(_network(text) for text in _list(env.get("TRUSTED_NETWORKS", "")))


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise OperatorError(
            f"TRUSTED_NETWORKS has {text!r}, which is not a network: {error}. Write CIDRs such as 10.0.0.0/8, "
            "separated by commas."
        ) from error


def _timezone(env: Mapping[str, str]) -> str:
    name = env.get("SITE_TIMEZONE", "UTC")
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise OperatorError(
            f"SITE_TIMEZONE={name} is not a time zone name; write one such as Europe/Berlin."
        ) from error
    return name


def _device_names(env: Mapping[str, str]) -> Mapping[str, str]:
    names: dict[str, str] = {}
    for item in _list(env.get("DEVICE_NAMES", ""), ";"):
        device_id, equals, name = (part.strip() for part in item.partition("="))
        if not (device_id and equals and name):
            raise OperatorError(
                f"DEVICE_NAMES has {item!r}: write device=name, separated by semicolons, for example "
                "jetson_1=Entrance Camera;jetson_2=Back Door."
            )
        names[device_id] = name
    return MappingProxyType(names)


def _admin_token(env: Mapping[str, str]) -> str:
    token = env.get("ADMIN_TOKEN", "")
    if not token.isascii() or not token.isprintable():
        raise OperatorError("ADMIN_TOKEN has characters that an HTTP header cannot carry: use printable ASCII.")
    return token


def _list(text: str, separator: str = ",") -> list[str]:
    return [part.strip() for part in text.split(separator) if part.strip()]


def _read_token(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def _stored_token(path: Path) -> str:
    """The generated token, made on first use; a file that others may read is closed to them again."""
    try:
        token = _read_token(path)
        if token:
            if path.stat().st_mode & 0o077:
                path.chmod(0o600)
            return token
        path.unlink(missing_ok=True)  # empty: a full disk cut its writing short
        return write_secret(path, lambda: secrets.token_urlsafe(32))
    except OSError as error:
        raise OperatorError(
            f"The admin token cannot be kept in {path} ({error.strerror}): make SENSORIUM_HOME writable for you, "
            "or set ADMIN_TOKEN."
        ) from error


def write_secret(path: Path, make: Callable[[], str]) -> str:
    """Create a file of mode 0600 with a fresh secret; whoever comes second reads the first one's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    secret = make()
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secret + "\n")
        file.flush()
        os.fsync(descriptor)
    try:
        os.link(draft, path)
    except FileExistsError:
        secret = _read_token(path)
    finally:
        draft.unlink()
    return secret
