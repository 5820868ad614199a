"""Recorders' sound with a real Kafka: what is acknowledged stays through kill -9, outages, full disks, slow links."""

import asyncio
import contextlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from base64 import b64encode
from collections.abc import AsyncGenerator, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from fastapi import FastAPI

from ops import topics
from ops.embedded.servers import free_port
from producers.asgi import compose
from producers.device_tokens import DeviceTokens
from producers.gateway import Gateway, GatewayOptions
from producers.publisher import Message, Publisher
from producers.recorder_limits import RecorderOptions
from schemas import serde
from schemas.envelope import KeyRing
from schemas.topics import TOPICS
from tests.drivers.broker import Broker
from tests.drivers.recorders import bearer, device, form, new_id, token_set
from tests.drivers.waiting import eventually, until

RING = KeyRing.parse(KeyRing.fresh_text())


@pytest.fixture(scope="module")
def kafka(kafka_bootstrap: str) -> str:
    topics.ensure(kafka_bootstrap, TOPICS)
    return kafka_bootstrap


def tell(bootstrap: str, *records: tuple[str, bytes | None]) -> None:
    """Append to `devices.tokens`."""
    publisher = Publisher(bootstrap, client_id="test-tokens")
    publisher.publish_all([Message("devices.tokens", key.encode(), value, []) for key, value in records], 20)
    publisher.close()


class Owner:
    """A registered recorder and its token."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.device_id, self.token = new_id(), f"token-{uuid.uuid4()}"
        self.register()

    def register(self, *, enabled: bool = True) -> None:
        one = device(self.device_id, self.token, enabled=enabled)
        tell(self.bootstrap, (self.device_id, token_set(one)))

    def forget(self) -> None:
        tell(self.bootstrap, (self.device_id, None))

    def request(self, sound: bytes, **changed: Any) -> dict[str, Any]:
        """What to POST to /api/v1/chunks."""
        files = {"chunk_file": ("chunk.ogg", sound, "audio/ogg")}
        return {
            "data": form(device_id=self.device_id, **changed),
            "files": files,
            "headers": bearer(self.token),
        }

    def events(self, name: str = "AudioChunkUploaded") -> list[dict[str, Any]]:
        """What the log has of this recorder, of one kind."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "none", "enable.partition.eof": False})
        partitions = [TopicPartition("audio.chunks", number, 0) for number in range(4)]
        left = sum(consumer.get_watermark_offsets(partition, 10)[1] for partition in partitions)
        consumer.assign(partitions)
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + 20
        while left and time.monotonic() < deadline:
            for message in consumer.consume(1000, 0.2):
                left -= 1
                kind, event = serde.decode(message.value())
                if kind == name and event["device_id"] == self.device_id:
                    found.append(event)
        consumer.close()
        assert not left
        return found


@pytest.fixture
def owner(kafka: str) -> Owner:
    return Owner(kafka)


@contextlib.asynccontextmanager
async def running(bootstrap: str, folder: Path, **options: Any) -> AsyncGenerator[tuple[Gateway, httpx.AsyncClient]]:
    recorders = RecorderOptions(folder, **({"min_free_bytes": 0} | options))
    gateway = Gateway(GatewayOptions(bootstrap, RING, site_zone="UTC", recorders=recorders, kafka_deadline_s=2.0))
    await gateway.start()
    await until(lambda: gateway.ready and gateway.recorders and gateway.recorders.ready)
    transport = httpx.ASGITransport(compose(gateway, FastAPI()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client:
        try:
            yield gateway, client
        finally:
            await gateway.stop()


class Server:
    """A gateway in a process of its own."""

    def __init__(self, bootstrap: str, folder: Path, fault: str = "none") -> None:
        self.port = free_port()
        command = (sys.executable, "-m", "tests.drivers.recorder_main", bootstrap, str(folder), str(self.port), fault)
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self.base = f"http://127.0.0.1:{self.port}"
        eventually(self.is_ready, 30)

    def is_ready(self) -> bool:
        assert self.process.poll() is None
        try:
            report = httpx.get(f"{self.base}/health").json()
        except httpx.TransportError:
            return False
        return report["ok"] and report["storage_writable"]

    def end(self, how: int = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(20)


@contextlib.contextmanager
def served(bootstrap: str, folder: Path, fault: str = "none") -> Iterator[Server]:
    server = Server(bootstrap, folder, fault)
    try:
        yield server
    finally:
        server.end()


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "audio/sha256").glob("*/*"))


def unfinished(folder: Path) -> list[Path]:
    return [path for path in (folder / "audio/incoming").glob("*/*") if path.is_file()]


class TestTokens:
    async def test_registered_changed_disabled_deleted_while_it_runs(self, kafka: str, owner: Owner, tmp_path: Path):
        async with running(kafka, tmp_path) as (_, client):
            assert (await client.post("/api/v1/chunks", **owner.request(b"1"))).status_code == 200
            later = await asyncio.to_thread(Owner, kafka)
            assert (await client.post("/api/v1/chunks", **later.request(b"2"))).status_code == 200
            await asyncio.to_thread(later.register, enabled=False)
            await self.refused(client, later)
            await asyncio.to_thread(later.register)
            assert (await client.post("/api/v1/chunks", **later.request(b"3"))).status_code == 200
            await asyncio.to_thread(later.forget)
            await self.refused(client, later)
            old, owner.token = owner.request(b"4"), f"token-{uuid.uuid4()}"
            await asyncio.to_thread(owner.register)
            assert (await client.post("/api/v1/chunks", **owner.request(b"5"))).status_code == 200
            assert (await client.post("/api/v1/chunks", **old)).status_code == 401

    async def refused(self, client: httpx.AsyncClient, owner: Owner) -> None:
        """Soon: what is known is not looked up anew."""
        deadline = time.monotonic() + 5
        while (answer := await client.post("/api/v1/chunks", **owner.request(b"x"))).status_code == 200:
            assert time.monotonic() < deadline
        assert (answer.status_code, answer.json()["detail"]) == (401, "Invalid or disabled device token")

    async def test_it_is_ready_when_it_knows_all_and_not_before(self, kafka: str, owner: Owner):
        tokens = DeviceTokens(kafka)
        assert not tokens.ready
        assert await tokens.catch_up() is False
        tokens.start()
        await until(lambda: tokens.ready)
        assert [one.device_id for one in tokens.find(owner.token.encode())] == [owner.device_id]
        await tokens.stop()
        assert await tokens.catch_up() is False

    async def test_transactions_and_what_is_no_token_hold_nothing_up(self, kafka: str):
        tokens = DeviceTokens(kafka)
        tokens.start()
        one = device(new_id(), f"token-{uuid.uuid4()}")
        producer = Producer({"bootstrap.servers": kafka, "transactional.id": f"test-{uuid.uuid4()}"})
        producer.init_transactions(20)
        producer.begin_transaction()
        producer.produce("devices.tokens", token_set(one), one.device_id.encode())
        producer.produce("devices.tokens", b"no event", b"no-device")
        producer.commit_transaction(20)
        assert await tokens.catch_up() is True
        assert tokens.ready
        assert any(found.token_sha256 == one.token_sha256 for found in tokens.table._devices.values())
        tell(kafka, ("no-device", None))
        await tokens.stop()

    async def test_without_kafka_nobody_is_told_401(self, tmp_path: Path):
        tokens = DeviceTokens(f"127.0.0.1:{free_port()}", patience_s=0.5)
        tokens.start()
        started = time.monotonic()
        assert await tokens.catch_up() is False
        assert time.monotonic() - started < 3
        assert not tokens.ready
        await tokens.stop()


class TestAcknowledged:
    async def test_a_hundred_at_once_are_one_chunk(self, kafka: str, owner: Owner, tmp_path: Path):
        async with running(kafka, tmp_path, uploads=100, uploads_per_device=100) as (_, client):
            answers = await asyncio.gather(
                *[client.post("/api/v1/chunks", **owner.request(b"sound")) for _ in range(100)]
            )
        assert {answer.status_code for answer in answers} == {200}
        (event,) = await asyncio.to_thread(owner.events)
        assert {answer.json()["chunk_id"] for answer in answers} == {event["chunk_id"]}
        assert (tmp_path / event["stored_path"]).read_bytes() == b"sound"
        assert len(await asyncio.to_thread(owner.events, "DeviceSeen")) == 1

    @pytest.mark.parametrize(
        ("fault", "events", "files"),
        [("die-before-rename", 0, 0), ("die-before-claim", 0, 1), ("die-after-claim", 1, 1)],
    )
    def test_killed_in_between_the_retry_is_the_same_chunk(
        self, kafka: str, owner: Owner, tmp_path: Path, fault: str, events: int, files: int
    ):
        sound = random.Random(1).randbytes(400_000)
        request = owner.request(sound, boot_id="b", sequence=1)
        with served(kafka, tmp_path, fault) as server, pytest.raises(httpx.TransportError):
            httpx.post(f"{server.base}/api/v1/chunks", **request)
        assert len(owner.events()) == events
        assert len(kept(tmp_path)) == files
        with served(kafka, tmp_path) as server:
            answer = httpx.post(f"{server.base}/api/v1/chunks", **request)
            assert answer.status_code == 200
            assert unfinished(tmp_path) == []
        found = owner.events()
        assert len(found) == events + 1
        assert {event["chunk_id"] for event in found} == {answer.json()["chunk_id"]}
        assert [file.read_bytes() for file in kept(tmp_path)] == [sound]

    def test_killed_at_any_moment_nothing_acknowledged_is_lost(self, kafka: str, owner: Owner, tmp_path: Path):
        acknowledged: dict[str, str] = {}
        for round_number in range(3):
            with served(kafka, tmp_path) as server:
                killing = threading.Timer(0.3 + 0.2 * round_number, server.process.kill)
                killing.start()
                with contextlib.suppress(httpx.TransportError), httpx.Client() as client:
                    for number in range(100_000):
                        sound = f"{round_number}/{number}".encode() * 100
                        answer = client.post(f"{server.base}/api/v1/chunks", **owner.request(sound))
                        assert answer.status_code == 200
                        acknowledged[answer.json()["chunk_id"]] = sha256(sound).hexdigest()
                killing.join()
        in_log = {event["chunk_id"]: event for event in owner.events()}
        assert len(acknowledged) > 3
        for chunk, digest in acknowledged.items():
            assert in_log[chunk]["sha256"] == digest
            assert sha256((tmp_path / in_log[chunk]["stored_path"]).read_bytes()).hexdigest() == digest

    def test_a_cut_upload_goes_on_after_kill(self, kafka: str, owner: Owner, tmp_path: Path):
        sound = random.Random(2).randbytes(600_000)
        fields = form(device_id=owner.device_id)
        metadata = ",".join(f"{name} {b64encode(text.encode()).decode()}" for name, text in fields.items())
        tus = bearer(owner.token) | {"tus-resumable": "1.0.0"}
        stream = tus | {"content-type": "application/offset+octet-stream"}
        with served(kafka, tmp_path) as server:
            headers = tus | {"upload-length": str(len(sound)), "upload-metadata": metadata}
            place = httpx.post(f"{server.base}/api/v1/uploads", headers=headers).headers["location"]
            for offset in (0, 100_000):
                sent = stream | {"upload-offset": str(offset)}
                httpx.patch(server.base + place, headers=sent, content=sound[offset : offset + 100_000])
            with socket.create_connection(("127.0.0.1", server.port)) as link:  # a link that dies in the middle
                lines = "".join(f"{name}: {text}\r\n" for name, text in (stream | {"upload-offset": "200000"}).items())
                link.sendall(f"PATCH {place} HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: 400000\r\n\r\n".encode())
                link.sendall(sound[200_000:350_000])
                eventually(lambda: int(httpx.head(server.base + place, headers=tus).headers["upload-offset"]) > 200_000)
            server.end(signal.SIGKILL)
        with served(kafka, tmp_path) as server:
            offset = int(httpx.head(server.base + place, headers=tus).headers["upload-offset"])
            assert 200_000 < offset <= 350_000
            sent = stream | {"upload-offset": str(offset)}
            answer = httpx.patch(server.base + place, headers=sent, content=sound[offset:])
            assert answer.status_code == 204
        (event,) = owner.events()
        assert event["chunk_id"] == answer.headers["chunk-id"]
        assert (tmp_path / event["stored_path"]).read_bytes() == sound


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    home = Path(tempfile.mkdtemp(prefix="sensorium-recorders-"))
    broker = Broker(home)
    topics.ensure(broker.bootstrap, TOPICS)
    yield broker
    broker.stop()
    shutil.rmtree(home, ignore_errors=True)


class TestKafkaAway:
    @pytest.mark.parametrize("how", ["freeze", "kill"])
    async def test_503_in_time_and_the_retry_is_the_same_chunk(self, broker: Broker, tmp_path: Path, how: str):
        owner = await asyncio.to_thread(Owner, broker.bootstrap)
        async with running(broker.bootstrap, tmp_path) as (_, client):
            before = await client.post("/api/v1/chunks", **owner.request(b"before"))
            await asyncio.to_thread(broker.freeze if how == "freeze" else broker.kill)
            started = time.monotonic()
            away = await client.post("/api/v1/chunks", **owner.request(b"away"))
            assert time.monotonic() - started < 4
            assert (before.status_code, away.status_code, "retry-after" in away.headers) == (200, 503, True)
            unknown = await client.post(
                "/api/v1/chunks", **(owner.request(b"?") | {"headers": bearer("unknown-token")})
            )
            assert unknown.status_code == 503
            await asyncio.to_thread(broker.thaw if how == "freeze" else broker.start)
            for _ in range(60):
                again = await client.post("/api/v1/chunks", **owner.request(b"away"))
                if again.status_code == 200:
                    break
            assert again.status_code == 200
        found = {event["chunk_id"]: event for event in await asyncio.to_thread(owner.events)}
        assert set(found) == {before.json()["chunk_id"], again.json()["chunk_id"]}
        assert len(kept(tmp_path)) == 2


class TestBadLinksAndDisks:
    def test_a_full_disk_is_507_and_leaves_nothing(self, kafka: str, owner: Owner, tmp_path: Path):
        with served(kafka, tmp_path, "small-files") as server:
            large = httpx.post(f"{server.base}/api/v1/chunks", **owner.request(bytes(900_000)))
            assert (large.status_code, large.json()) == (507, {"detail": "The audio folder has no room left"})
            assert (kept(tmp_path), unfinished(tmp_path)) == ([], [])
            assert httpx.post(f"{server.base}/api/v1/chunks", **owner.request(b"small")).status_code == 200
        assert len(owner.events()) == 1

    def test_slow_senders_are_sent_away_and_hold_nobody_up(self, kafka: str, owner: Owner, tmp_path: Path):
        head = (
            "POST /api/v1/chunks HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=xx\r\n"
            f"Content-Length: 100000\r\nAuthorization: Bearer {owner.token}\r\n\r\n--xx\r\n"
        )
        with served(kafka, tmp_path) as server, contextlib.ExitStack() as links:
            slow = [links.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(8)]
            for link in slow:
                link.settimeout(10)
                link.sendall(head.encode())
            eventually(lambda: httpx.get(f"{server.base}/health").json()["uploads_under_way"] == 8)
            other = Owner(kafka)
            assert httpx.post(f"{server.base}/api/v1/chunks", **owner.request(b"sound")).status_code == 429
            assert httpx.post(f"{server.base}/api/v1/chunks", **other.request(b"sound")).status_code == 200
            for link in slow:
                answer = link.recv(4096)
                assert answer.startswith(b"HTTP/1.1 408")
                assert b"connection: close" in answer
            eventually(lambda: httpx.get(f"{server.base}/health").json()["uploads_under_way"] == 0)
            assert httpx.post(f"{server.base}/api/v1/chunks", **owner.request(b"sound")).status_code == 200

    def test_a_bomb_is_bytes_like_any_other(self, kafka: str, owner: Owner, tmp_path: Path):
        bomb = b"OggS\0\2" + bytes(21) + b"\1\x13OpusHead\1\1" + bytes(300_000)
        with served(kafka, tmp_path) as server:
            assert httpx.post(f"{server.base}/api/v1/chunks", **owner.request(bomb)).status_code == 200
            assert server.is_ready()
        assert owner.events()[0]["size_bytes"] == len(bomb)

    @pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
    def test_large_uploads_at_once_take_little_memory(self, kafka: str, owner: Owner, tmp_path: Path):
        with served(kafka, tmp_path) as server:
            httpx.post(f"{server.base}/api/v1/chunks", **owner.request(b"warm"))
            before = peak_mb(server.process.pid)

            def post(number: int) -> None:
                answer = httpx.post(f"{server.base}/api/v1/chunks", **owner.request(bytes([number]) * 10_485_760))
                assert answer.status_code == 200

            threads = [threading.Thread(target=post, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert peak_mb(server.process.pid) - before < 30
        assert len(owner.events()) == 9


def peak_mb(pid: int) -> float:
    """The largest resident memory that the process has had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
