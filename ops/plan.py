"""The services of `sensorium up` in the order they start: Kafka, PostgreSQL, our own processes, the demo devices."""

from __future__ import annotations

import http.client
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from types import MappingProxyType

import psutil

from ops import demo_scenario, demo_shop, ports, processes, state
from ops.embedded import kafka, postgres, servers
from ops.embedded.jars import folder
from ops.errors import OperatorError
from ops.service import Service
from ops.settings import DEFAULT_KAFKA_PORT, Settings

# A service says that it is ready; one that waits for servers elsewhere counts as ready when it has lived this long.
SETTLED_S = 20.0
SILENT_FOR_S = 60.0
SENSOR = "emotion-sensor"
WAITS_FOR_SERVERS_S = 30.0


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo devices: a face sensor with a video or camera, a shop counter with a recording; else with samples."""

    enabled: bool = True
    video: str | None = None
    camera: int | None = None
    audio: str | None = None

    def sensor_arguments(self) -> list[str]:
        """Flags of the emotion sensor: points, totals and the live picture, so that the whole page is filled."""
        everything = ["--mode", "both", "--frames"]
        if self.video is not None:
            return ["--video", self.video, "--loop", *everything]
        return [*(["--demo"] if self.camera is None else ["--camera", str(self.camera)]), *everything]


def stores(settings: Settings) -> tuple[Settings, list[Service]]:
    """The servers to start, and the settings with the address of every server, started or given."""
    services: list[Service] = []
    home = settings.home
    if settings.kafka_bootstrap is None:
        port = kafka_port(settings)
        broker = kafka.Kafka(home / "kafka", folder(settings.cache), port, ports.next_free(port + 1), jvm(settings))
        services.append(servers.kafka_service(broker, home))
        settings = replace(settings, kafka_bootstrap=broker.bootstrap)
    if settings.database_url is None:
        server = servers.postgres(home)
        services.append(servers.postgres_service(server, home))
        settings = replace(settings, database_url=server.url)
    return settings, services


def jvm(settings: Settings) -> tuple[str, ...]:
    """Options of the embedded broker's JVM."""
    return *(settings.kafka_heap or kafka.HEAP), *(settings.kafka_performance or kafka.PERFORMANCE)


def kafka_port(settings: Settings) -> int:
    """KAFKA_PORT when it is set (and free), else the first free one from 9092."""
    if settings.kafka_port is not None:
        return ports.claim("127.0.0.1", settings.kafka_port, "KAFKA_PORT")
    return ports.next_free(DEFAULT_KAFKA_PORT)


def check_given(settings: Settings) -> None:
    """OperatorError when a server named by the environment does not answer."""
    if settings.kafka_bootstrap and not kafka.answers(settings.kafka_bootstrap, timeout_s=10):
        raise OperatorError(
            f"No Kafka answers at KAFKA_BOOTSTRAP_SERVERS={settings.kafka_bootstrap}: start it, correct the address, "
            "or unset the variable to use the embedded one."
        )
    if settings.database_url:
        reason = postgres.refusal(settings.database_url)
        if reason:
            raise OperatorError(
                f"DATABASE_URL does not lead to a database ({reason}): start it, correct the address, or unset the "
                "variable to use the embedded one."
            )


def rooms(settings: Settings) -> list[Service]:
    """Our own processes: front door, projector, processors, deciders, orchestrator, cameras, speech recognition."""
    front = _room(settings, "front", ["--host", settings.host, "--port", str(settings.port)])
    front = replace(
        front, ready=lambda pid: front_ready(settings, pid), still_well=lambda _: bool(front_status(settings))
    )
    names = [
        "projector",
        "processors",
        "deciders",
        "orchestrator",
        "cameras",
        *(["asr"] if settings.sales.asr.mode != "off" else []),
    ]
    return [front, *(_room(settings, name) for name in names)]


def _room(settings: Settings, name: str, arguments: Sequence[str] = ()) -> Service:
    return Service(
        name,
        lambda: launch(settings, name, ["serve", name, *arguments]),
        lambda pid: state.is_ready(settings.home, name, pid) or lived_s(pid) > SETTLED_S,
        still_well=lambda pid: state.silence_s(settings.home, name, pid) < SILENT_FOR_S,
        start_patience_s=90,
    )


def devices(settings: Settings, demo: Demo) -> list[Service]:
    """The demo devices, speaking HTTP to the front door like any other."""
    sensor = ["agent", SENSOR, *demo.sensor_arguments(), "--server", settings.base_url]
    return [
        _device(SENSOR, lambda: launch(settings, SENSOR, sensor, {"SENSOR_TOKEN": settings.admin_token})),
        _device(demo_shop.NAME, lambda: _recorder(settings, demo)),
        replace(_room(settings, demo_scenario.NAME), launch=lambda: _runner(settings, demo)),
    ]


def _runner(settings: Settings, demo: Demo) -> processes.Launch:
    demo_scenario.begin(settings)
    environment = demo_scenario.environment(settings, demo.video)
    return launch(settings, demo_scenario.NAME, ["serve", demo_scenario.NAME], environment)


def _recorder(settings: Settings, demo: Demo) -> processes.Launch:
    flags = demo_shop.arguments(settings, demo.audio)
    environment = demo_shop.environment(settings)
    return launch(settings, demo_shop.NAME, ["agent", "recorder", *flags], environment)


def _device(name: str, begin: Callable[[], processes.Launch]) -> Service:
    return Service(name, begin, lambda pid: lived_s(pid) > 1.0, may_finish=True, stop_patience_s=10)


def launch(
    settings: Settings, name: str, arguments: Sequence[str], more: Mapping[str, str] = MappingProxyType({})
) -> processes.Launch:
    """How one of our own commands is run as a child; `more` goes into its environment."""
    environ = {
        processes.HOME_MARK: str(settings.home),
        "SENSORIUM_HOME": str(settings.home),
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap or "",
        "DATABASE_URL": settings.database_url or "",
        "PYTHONUNBUFFERED": "1",
        **more,
    }
    log = settings.log_dir / f"{name}.log"
    return processes.Launch([sys.executable, "-m", "ops.cli", *arguments], log, environ)


def front_ready(settings: Settings, pid: int) -> bool:
    """Whether the front door is ready; one that only waits for its servers counts too after a while."""
    status = front_status(settings)
    return status == HTTPStatus.OK or (status != 0 and lived_s(pid) > WAITS_FOR_SERVERS_S)


def front_status(settings: Settings, timeout_s: float = 2.0) -> int:
    """HTTP status of the front door's health; 0 when it does not answer."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "localhost") else settings.host  # noqa: S104
    connection = http.client.HTTPConnection(host, settings.port, timeout=timeout_s)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def lived_s(pid: int) -> float:
    """Seconds since the process started; 0 when it is gone."""
    try:
        return max(0.0, time.time() - psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return 0.0
