"""PostgreSQL stopped at once and started again, a projector's connection lost, a replay killed: nothing is lost."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import processes
from ops.embedded.servers import postgres, postgres_service
from ops.service import bring_up
from projections import migrations
from projections.migrations import MigrationChanged
from projections.store import StoreDown
from projections.store_models import Models
from tests.drivers.emotion_points import traffic
from tests.drivers.projecting import site, wrong_sums

MODEL = "emotion_logs"


class OwnPostgres:
    """A server that a test may stop as it likes."""

    def __init__(self, home: Path) -> None:
        server = postgres(home)
        self._service = postgres_service(server, home)
        self._process = bring_up(self._service)
        self.url = server.url_of("postgres")

    def crash(self) -> None:
        """Immediate shutdown: what was not written is lost."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(30)

    def start(self) -> None:
        self._process = bring_up(self._service)

    def stop(self) -> None:
        processes.stop(self._process, self._service.stop_signal, self._service.stop_patience_s)


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[OwnPostgres]:
    with tempfile.TemporaryDirectory(prefix="sensorium-own-", ignore_cleanup_errors=True) as home:
        Path(home).chmod(0o755)
        server = OwnPostgres(Path(home))
        yield server
        server.stop()


def test_postgresql_crashes_under_load(kafka_bootstrap: str, own_postgres: OwnPostgres) -> None:
    with site(kafka_bootstrap, own_postgres.url, MODEL) as there, there.projector():
        for round_ in range(3):
            for seed in range(8):
                there.post(*traffic(25, points=40, devices=5, seed=10 * round_ + seed))
                if seed == 4:
                    own_postgres.crash()
            own_postgres.start()
        there.caught_up(MODEL, timeout=60)
        expected = {
            (b["device_id"], b["session_id"], p, tr, t)
            for round_ in range(3)
            for seed in range(8)
            for b in traffic(25, points=40, devices=5, seed=10 * round_ + seed)
            for p, tr, t in zip(b["session_person_id"], b["track_id"], b["t_ms"], strict=True)
        }
        assert there.one("SELECT count(*) FROM emotion_logs") == len(expected)
        assert wrong_sums(there, "emotion_logs_v1") == []
        assert there.records("dead.letters") == [
            r for r in there.records("dead.letters") if there.prefix.encode() not in (r.value or b"")
        ]


def test_a_projector_waits_for_postgresql(kafka_bootstrap: str, own_postgres: OwnPostgres) -> None:
    with site(kafka_bootstrap, own_postgres.url, MODEL) as there:
        own_postgres.crash()
        there.post(*traffic(5, points=4))
        with pytest.raises(StoreDown):
            Models(own_postgres.url)
        with there.projector():
            own_postgres.start()
            there.caught_up(MODEL, timeout=60)
        assert there.one("SELECT count(*) FROM emotion_logs") == 20


def test_a_replay_killed_at_any_moment_goes_on(kafka_bootstrap: str, database_url: str) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    dice = random.Random(seed)
    with site(kafka_bootstrap, database_url, MODEL) as there, there.projector():
        bodies = list(traffic(60, points=10, devices=5))
        there.post(*bodies, *bodies[20:30], *reversed(bodies))
        there.caught_up(MODEL)
        command = [
            sys.executable,
            "-m",
            "tests.drivers.replay_process",
            there.bootstrap,
            there.database_url,
            there.prefix,
        ]
        for _ in range(5):
            if there.live(MODEL) != "emotion_logs_v1":
                break  # it was faster than the kill
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                for _, _line in zip(range(dice.randrange(1, 12)), process.stdout, strict=False):
                    pass
                process.kill()
        if there.live(MODEL) == "emotion_logs_v1":
            last = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
            assert last.stdout.splitlines()[-1] == "switched True emotion_logs_v2 ()"
        there.caught_up(MODEL)
        assert wrong_sums(there, "emotion_logs_v2") == []
        assert there.checksum("emotion_logs_v1", MODEL) == there.checksum("emotion_logs_v2", MODEL)


def test_migrations_go_up_and_down_and_notice_edits(
    kafka_bootstrap: str, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with site(kafka_bootstrap, database_url) as there:
        assert [step.applied_at for step in migrations.history(database_url)] == [None, None, None]
        assert migrations.up(database_url) == ["0001_control", "0002_emotion_points", "0003_sales_users"]
        assert migrations.up(database_url) == []
        assert migrations.history(database_url)[0].applied_at is not None
        assert migrations.down(database_url) == "0003_sales_users"
        assert migrations.down(database_url) == "0002_emotion_points"
        assert migrations.down(database_url) == "0001_control"
        assert migrations.down(database_url) is None
        assert there.one("SELECT to_regclass('sensorium.models')") is None
        assert migrations.up(database_url) == ["0001_control", "0002_emotion_points", "0003_sales_users"]
        for file in migrations.HERE.glob("*.sql"):
            (tmp_path / file.name).write_text(file.read_text() + "-- edited\n")
        monkeypatch.setattr(migrations, "HERE", tmp_path)
        with pytest.raises(MigrationChanged, match="edited"):
            migrations.up(database_url)
