"""A Kafka and a PostgreSQL for integration tests: named by the environment, or testcontainers, or embedded."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ops import processes
from ops import settings as ops_settings
from ops.embedded import jars
from ops.embedded.kafka import HEAP, QUICK, Kafka
from ops.embedded.servers import free_port, kafka_service, postgres, postgres_service
from ops.service import Service, bring_up

KAFKA_IMAGE = "confluentinc/cp-kafka:7.9.0"
KAFKA_CONTAINER = {
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_MESSAGE_MAX_BYTES": "33554432",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
}
POSTGRES_IMAGE = "pgvector/pgvector:pg18"


def engine_listens() -> bool:
    """Whether something listens where the Docker engine should (asked first: the client leaks sockets otherwise)."""
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not address.startswith("unix://"):
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(address.removeprefix("unix://")) == 0


def docker_answers() -> bool:
    """Whether a Docker engine answers and has the images or can get them."""
    if not engine_listens():
        return False
    import docker.errors

    import docker

    try:
        with closing(docker.from_env(timeout=3)) as client:
            for image in (KAFKA_IMAGE, POSTGRES_IMAGE):
                with_image(client, image)
    except (docker.errors.DockerException, OSError):
        return False
    return True


def with_image(client: Any, image: str) -> None:
    """Pull the image unless it is there."""
    import docker.errors

    try:
        client.images.get(image)
    except docker.errors.ImageNotFound:
        client.images.pull(image)


def started(container: Any, stack: ExitStack) -> Any:
    """Start a container; its library's own deprecations are no failures of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return stack.enter_context(container)


@pytest.fixture(scope="session")
def server_home() -> Iterator[Path]:
    """A private home for embedded servers, with a path short enough for a socket."""
    home = Path(tempfile.mkdtemp(prefix="sensorium-test-"))
    yield home
    shutil.rmtree(home, ignore_errors=True)


def running(service: Service, stack: ExitStack) -> None:
    process = bring_up(service)
    stack.callback(processes.stop, process, service.stop_signal, service.stop_patience_s)


def embedded_kafka(home: Path, stack: ExitStack) -> str:
    cache = ops_settings.load().cache
    kafka = Kafka(home / "kafka", jars.ensure(cache, lambda _: None), free_port(), free_port(), (*HEAP, *QUICK))
    running(kafka_service(kafka, home), stack)
    return kafka.bootstrap


def embedded_postgres(home: Path, stack: ExitStack) -> str:
    server = postgres(home)
    running(postgres_service(server, home), stack)
    return server.url_of("postgres")


def container_kafka(_home: Path, stack: ExitStack) -> str:
    from testcontainers.community.kafka import KafkaContainer

    container = KafkaContainer(KAFKA_IMAGE).with_kraft()
    for name, value in KAFKA_CONTAINER.items():
        container.with_env(name, value)
    return started(container, stack).get_bootstrap_server()


def container_postgres(_home: Path, stack: ExitStack) -> str:
    from testcontainers.community.postgres import PostgresContainer

    return started(PostgresContainer(POSTGRES_IMAGE, driver=None), stack).get_connection_url()


def pick(named: str | None, container: Callable[..., str], embedded: Callable[..., str]) -> Callable[..., str]:
    """The environment's server, else Docker's, else the embedded one."""
    if named:
        return lambda _home, _stack: named
    return container if docker_answers() else embedded


@pytest.fixture(scope="session")
def kafka_bootstrap(server_home: Path) -> Iterator[str]:
    """Address of one Kafka for the whole session; tests isolate themselves by topic names."""
    with ExitStack() as stack:
        named = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
        yield pick(named, container_kafka, embedded_kafka)(server_home, stack)


@pytest.fixture(scope="session")
def postgres_server(server_home: Path) -> Iterator[str]:
    """Address of one PostgreSQL server; take `database_url` for a database of one's own."""
    with ExitStack() as stack:
        yield pick(os.environ.get("DATABASE_URL"), container_postgres, embedded_postgres)(server_home, stack)


def with_database(url: str, name: str) -> str:
    """The same server's address with another database."""
    scheme, _, rest = url.partition("://")
    place, question, options = rest.partition("?")
    return f"{scheme}://{place.partition('/')[0]}/{name}{question}{options}"


@pytest.fixture(scope="module")
def database_url(postgres_server: str) -> Iterator[str]:
    """A fresh database for the test module, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    yield with_database(postgres_server, name)
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
