"""The composition root: what `sensorium serve NAME` runs, put together from settings. Rooms get plain arguments."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import uvicorn

from ops import (
    http_server,
    offline_docs,
    people_wiring,
    railway_wiring,
    sales_wiring,
    schema_registry,
    security_wiring,
    vision_wiring,
)
from ops.errors import OperatorError
from ops.people_wiring import People
from ops.settings import Settings, load, write_secret
from ops.state import connected, mark_ready, own_folder
from schemas.envelope import KeyRing

if TYPE_CHECKING:
    from fastapi import FastAPI

    from api.app import Api
    from producers.answers import AsgiApp
    from producers.commands import Writer
    from producers.gateway import Gateway
    from streams.steps import Heavy

log = logging.getLogger(__name__)
ASR_PATHS: Final = ("/api/v1/internal/asr", "/api/v1/internal/asr/{rest:path}")


def serve(name: str, settings: Settings, host: str | None = None, port: int | None = None, reload: bool = False) -> int:
    """Run one service in this process until it is told to stop; the exit code.

    Raises:
        OperatorError: no such service, or something it needs is missing.
    """
    if name not in SERVICES:
        raise OperatorError(f"There is no service {name}. The services are {', '.join(SERVICES)}.")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    settings = connected(replace(settings, host=host or settings.host, port=port or settings.port))
    if settings.schema_registry_url:
        schema_registry.agree(settings.schema_registry_url)
    return SERVICES[name](settings, reload)


def keyring(settings: Settings) -> KeyRing:
    """The keys that seal personal data, made on first use."""
    path = settings.personal_keys
    try:
        text = path.read_text("utf-8") if path.is_file() else write_secret(path, lambda: KeyRing.fresh_text().strip())
        return KeyRing.parse(text)
    except (OSError, ValueError) as error:
        raise OperatorError(
            f"The keys of personal data in {path} cannot be read ({error}). Restore that file from a backup: without "
            "it, what was sealed with it stays unreadable."
        ) from error


def gateway(settings: Settings) -> Gateway:
    """The gateway; nothing is opened yet."""
    from producers.gateway import Gateway, GatewayOptions

    options = GatewayOptions(
        bootstrap=settings.kafka_bootstrap or "",
        keyring=keyring(settings),
        admin_token=settings.admin_token,
        trusted_networks=tuple(str(network) for network in settings.trusted_networks),
        cors_origins=settings.cors_origins,
        site_zone=settings.site_timezone,
        recorders=sales_wiring.recorder_options(settings),
    )
    return Gateway(options)


def query_api(settings: Settings, door: Gateway | None, writer: Writer | None, people: People) -> Api:
    """The query API; beside a gateway it takes frame rates and admission from it, and writes by `writer`."""
    from api.admitting import admits
    from api.app import no_frames, wire
    from producers.admission import Admission, own_names
    from producers.cors import Cors

    networks = tuple(str(network) for network in settings.trusted_networks)
    admission = (
        door.admission
        if door
        else Admission(settings.admin_token, networks, own_names(), Cors(settings.cors_origins).origins)
    )
    return wire(
        settings.database_url or "",
        frame_fps=door.frames.fps if door else no_frames,
        device_names=settings.device_name,
        admission=admits(admission),
        sales=sales_wiring.sales_api(settings, keyring(settings), writer, admission),
        people=people.reception,
    )


def front_app(settings: Settings, *, with_gateway: bool = True, with_api: bool = True) -> AsgiApp:
    """Everything at one origin: gateway, query API, page, registry, one OpenAPI."""
    from fastapi_offline import FastAPIOffline
    from starlette.routing import Route

    from api.admitting import admits
    from api.app import install
    from api.routes import scenarios
    from api.routes.page import page
    from producers.asgi import compose, with_cors
    from producers.commands import Writer
    from producers.cors import Cors
    from producers.forwarding import Forwarder

    door = gateway(settings) if with_gateway else None
    writer = Writer(door.publisher, door.replies) if door else None
    people = people_wiring.people(settings, sales_wiring.jwt_secret(settings))
    answers = query_api(settings, door, writer, people) if with_api else None
    asr = Forwarder(f"unix:{settings.asr_socket}", "Speech recognition")
    closes: list[Callable[[], Awaitable[None]]] = [asr.close, people.close]
    trains = None
    if door and writer and answers:
        door.neighbours = lambda: {"db": answers.hub.listening}
        passenger = people.passengers(answers.database)
        trains = railway_wiring.trains(settings, keyring(settings), answers.database, writer, door.admission, passenger)
        closes.append(trains.close)

    app = FastAPIOffline(title="Sensorium", version="1", lifespan=partial(_lifespan, door, answers, closes))
    offline_docs.complete(app)
    if door and settings.sales.asr.mode == "remote":
        own_folder(settings.asr_socket.parent)
        app.router.routes += [Route(path, asr) for path in ASR_PATHS]
    if answers:
        install(app, answers)
    front = compose(door, app, page if answers else None) if door else with_cors(app, Cors(settings.cors_origins))
    if door and answers and writer and trains:
        app.include_router(scenarios.build(answers.database, writer, admits(door.admission)))
        closes.append(security_wiring.install(settings, app, answers, writer, trains))
        front = trains.in_front_of(front, app)
    return people.gated(front)


@asynccontextmanager
async def _lifespan(
    door: Gateway | None, answers: Api | None, closes: Iterable[Callable[[], Awaitable[None]]], _app: FastAPI
) -> AsyncGenerator[None]:
    if door:
        await door.start()
    try:
        async with answers.running() if answers else nullcontext():
            yield
    finally:
        for close in closes:
            await close()
        if door:
            await door.stop()


def from_environment() -> AsgiApp:
    """Everything at one origin, for `--reload`, where every start is a new process."""
    return front_app(connected(load()))


def _serve_http(settings: Settings, reload: bool, **parts: bool) -> int:
    if reload:
        uvicorn.run(
            "ops.wiring:from_environment", factory=True, reload=True, host=settings.host, port=settings.port, ws="none"
        )
        return 0
    listeners = [http_server.listen(settings.host, port) for port in (settings.port, *settings.further_ports)]
    server = http_server.server(front_app(settings, **parts))
    log.info("Listening on %s", ", ".join(f"port {port}" for port in (settings.port, *settings.further_ports)))
    server.run(sockets=listeners)
    return 0 if server.started else 1


def _front(settings: Settings, reload: bool) -> int:
    return _serve_http(settings, reload)


def _gateway(settings: Settings, reload: bool) -> int:
    return _serve_http(settings, reload, with_api=False)


def _api(settings: Settings, reload: bool) -> int:
    return _serve_http(settings, reload, with_gateway=False)


def _projector(settings: Settings, _reload: bool) -> int:
    from projections import runner

    stop = threading.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: stop.set())
    runner.run(
        settings.kafka_bootstrap or "",
        settings.database_url or "",
        keyring(settings),
        "projector",
        stop_event=stop,
        on_ready=partial(mark_ready, settings.home, "projector"),
    )
    return 0


def _processors(settings: Settings, _reload: bool) -> int:
    names = (*sales_wiring.LIGHT, "security.matches", "deviance.signals", "threats")
    capabilities = sales_wiring.light_capabilities(settings)
    gallery = railway_wiring.gallery(settings, keyring(settings))
    return _streams(settings, "processors", names, {**capabilities, "gallery": gallery})


def _asr(settings: Settings, _reload: bool) -> int:
    return _streams(settings, "asr", sales_wiring.ASR, {"asr": sales_wiring.asr_capability(settings)})


def _streams(settings: Settings, name: str, names: tuple[str, ...], capabilities: Mapping[str, Heavy]) -> int:
    from streams.runtime import worker

    return worker.run(
        settings.kafka_bootstrap or "",
        instance=name,
        processors=sales_wiring.table(settings, keyring(settings), names),
        capabilities=capabilities,
        on_ready=partial(mark_ready, settings.home, name),
    )


def _deciders(settings: Settings, _reload: bool) -> int:
    from streams.deciders_table import deciders
    from streams.deciding import worker

    return worker.run(
        settings.kafka_bootstrap or "",
        deciders=deciders(keyring(settings)),
        on_ready=partial(mark_ready, settings.home, "deciders"),
    )


def _orchestrator(settings: Settings, _reload: bool) -> int:
    return vision_wiring.orchestrator(settings, keyring(settings))


def _cameras(settings: Settings, _reload: bool) -> int:
    return vision_wiring.cameras(settings, keyring(settings))


def _runner(settings: Settings, _reload: bool) -> int:
    return vision_wiring.runner(settings)


SERVICES: Final[Mapping[str, Callable[[Settings, bool], int]]] = MappingProxyType(
    {
        "front": _front,
        "gateway": _gateway,
        "api": _api,
        "projector": _projector,
        "processors": _processors,
        "asr": _asr,
        "deciders": _deciders,
        "orchestrator": _orchestrator,
        "cameras": _cameras,
        "runner": _runner,
    }
)
"""Every service by the name that `sensorium serve` knows."""
