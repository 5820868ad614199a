from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_agents.recorder.backoff import Backoff
from edge_agents.recorder.chunk_names import Stamp
from edge_agents.recorder.delivery import Connection, Later, Refused, Server, Stored, Taken, judge, retry_after_s
from edge_agents.recorder.letters import Identifiers, Letters
from edge_agents.recorder.messenger import Messenger
from edge_agents.recorder.reports import Drops, Silences
from edge_agents.recorder.resumable import Resumable
from edge_agents.recorder.uploader import Uploader
from tests.drivers.recorder_server import Answer, Gateway, recorder_server
from tests.drivers.recording import SECOND, Studio, ogg_chunk

WHO = Identifiers(*(f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2, 3)))


@dataclass
class Post:
    """An uploader with a clock of its own, and the server it speaks to."""

    folder: Path
    gateway: Gateway
    resumable_from: int = 1 << 20
    waits: list[float] = field(default_factory=list)
    url: str = ""

    def __post_init__(self) -> None:
        self.studio = Studio(self.folder)
        studio = self.studio
        state = studio.spool.state
        self.drops, self.silences = Drops(state / "d", studio.disk), Silences(state / "s", studio.disk)
        letters = Letters(WHO, studio.boots, UTC, 16_000)
        self.connection = Connection(Server(self.url or self.gateway.url, "device-token", 5))
        now_s = lambda: studio.time.steady / SECOND  # noqa: E731
        self.uploader = Uploader(
            spool=studio.spool,
            boots=studio.boots,
            letters=letters,
            connection=self.connection,
            resumable=Resumable(self.connection, state / "uploads.json", studio.disk),
            messenger=Messenger(letters, self.connection, self.drops, self.silences, now_s),
            backoff=Backoff(2, 300, chance=lambda: 0.0),
            stop=threading.Event(),
            wait=lambda _: False,
            idle=lambda _: None,
            resumable_from=self.resumable_from,
        )

    def chunk(self, sequence: int, seconds: float = 1.0) -> Path:
        stamp = Stamp("run", sequence, self.studio.time.boot, self.studio.time.steady, self.studio.time.wall, 16_000)
        path = self.studio.spool.outbox / f"chunk_20260101_120000_0001_{sequence:06d}.ogg"
        path.write_bytes(ogg_chunk(seconds, tags=stamp.tags()))
        return path

    def work(self, hours: float = 1.0) -> None:
        """Until there is nothing to do, or so many hours have passed on the set clock."""
        until = self.studio.time.steady + hours * 3600 * SECOND
        while self.studio.time.steady < until:
            delay = self.uploader.step()
            if delay is None:
                return
            if delay:
                self.waits.append(delay)
                self.studio.time.pass_s(delay)

    def sequences(self) -> list[int]:
        return [int(chunk.fields["sequence"]) for chunk in self.gateway.stored.values()]


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with recorder_server() as server:
        yield server


@pytest.fixture
def post(tmp_path: Path, gateway: Gateway) -> Iterator[Post]:
    made = Post(tmp_path, gateway)
    gateway.date = lambda: made.studio.time.wall / SECOND
    yield made
    made.connection.close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_chunk_goes_over_the_wire_as_the_contract_says(post):
    path = post.chunk(0)
    content = path.read_bytes()
    post.work()
    (chunk,) = post.gateway.chunks
    wire = ["point_id", "register_id", "device_id", "start_ts", "end_ts", "codec", "sample_rate", "channels"]
    assert chunk.names == [*wire, "boot_id", "sequence", "clock_ts", "chunk_file"]
    assert (chunk.content, chunk.filename) == (content, path.name)
    assert chunk.headers["authorization"] == "Bearer device-token"
    assert names(post.studio.spool.uploaded) == [path.name]
    assert post.studio.chunks() == []
    totals = post.uploader.totals
    assert (totals.uploaded, totals.errors, totals.last_upload_s) == (1, 0, post.studio.time.wall / 1e6)


def test_many_chunks_go_over_one_connection_oldest_first(post):
    for n in (2, 0, 1):
        post.chunk(n)
    post.work()
    assert post.sequences() == [0, 1, 2]
    assert post.gateway.connections == 1


@pytest.mark.parametrize("status", [201, 202, 204, 301, 302, 307, 400, 401, 403, 404, 408, 429, 500, 502, 503, 507])
def test_anything_but_200_is_tried_again_until_it_is_taken(post, status):
    post.gateway.behave = lambda n, _: Answer(status, "" if status == 204 else {"detail": "x"}) if n < 3 else Answer()
    post.chunk(0)
    post.work()
    assert post.sequences() == [0]
    assert post.waits == [2, 4, 8]
    assert post.uploader.totals.errors == 3
    assert post.uploader.backoff.wait() == 2


@pytest.mark.parametrize("body", ["<html>sign in</html>", "[1]", '"ok"', ""])
def test_a_200_without_a_json_object_is_no_success(post, body):
    post.gateway.behave = lambda n, _: Answer(200, body) if n == 0 else Answer()
    path = post.chunk(0)
    post.work()
    assert len(post.waits) == 1
    assert names(post.studio.spool.uploaded) == [path.name]


@pytest.mark.parametrize("status", [413, 422])
def test_a_refused_chunk_is_set_aside_and_blocks_nobody(post, status):
    post.gateway.behave = lambda n, _: Answer(status, {"detail": "Empty file"}) if n == 0 else Answer()
    paths = [post.chunk(n) for n in range(3)]
    post.work()
    assert post.sequences() == [1, 2]
    assert post.waits == []
    assert names(post.studio.spool.rejected) == [paths[0].name, f"{paths[0].name}.reason"]
    assert "Empty file" in (post.studio.spool.rejected / f"{paths[0].name}.reason").read_text()
    assert post.uploader.totals.rejected == 1


@pytest.mark.parametrize("status", [413, 422, 409])
def test_a_proxy_s_refusal_is_none(post, status):
    post.gateway.behave = lambda n, _: Answer(status, "<html>nginx</html>") if n == 0 else Answer()
    post.chunk(0)
    post.chunk(1)
    post.work()
    assert sorted(post.sequences()) == [0, 1]
    assert names(post.studio.spool.rejected) == []


@pytest.mark.parametrize(
    "detail",
    [
        "device_id does not match authenticated device",
        "point_id or register_id does not match device registration",
    ],
)
def test_a_wrong_registration_holds_everything_and_loses_nothing(post, detail):
    post.gateway.behave = lambda n, _: Answer(422, {"detail": detail}) if n < 4 else Answer()
    for n in range(2):
        post.chunk(n)
    post.work()
    assert post.sequences() == [0, 1]
    assert names(post.studio.spool.rejected) == []


def test_a_number_given_twice_is_sent_by_content(post):
    post.gateway.behave = lambda n, _: Answer(409, {"detail": "taken"}) if n == 0 else Answer()
    post.chunk(0)
    post.work()
    (chunk,) = post.gateway.chunks
    assert "boot_id" not in chunk.fields
    assert "sequence" not in chunk.fields
    assert names(post.studio.spool.rejected) == []


def test_a_chunk_the_server_fails_at_waits_behind_the_others(post):
    poisoned = post.chunk(0)
    for n in (1, 2, 3):
        post.chunk(n)
    size = poisoned.stat().st_size

    def behave(_: int, path: str) -> Answer:
        return Answer(500, {"detail": "Failed to save chunk"}) if poisoned.exists() and next_is(poisoned) else Answer()

    def next_is(path: Path) -> bool:
        return post.studio.spool.in_flight == path

    post.gateway.behave = behave
    post.work(hours=1)
    assert post.sequences() == [1, 2, 3]
    assert poisoned.stat().st_size == size
    assert max(post.waits) == 300


def test_retry_after_is_honoured(post):
    answers = {0: Answer(503, {"detail": "x"}, {"retry-after": "77"}), 1: Answer(429, {}, {"retry-after": "1"})}
    post.gateway.behave = lambda n, _: answers.get(n, Answer())
    post.chunk(0)
    post.work()
    assert post.waits == [77, 4]


def test_hours_without_a_network_lose_and_double_nothing(post, tmp_path):
    cut_off = Post(tmp_path, post.gateway, url="http://127.0.0.1:9")
    for n in range(20):
        cut_off.chunk(n)
    cut_off.work(hours=5)
    assert cut_off.waits[:9] == [2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert set(cut_off.waits[8:]) == {300}
    assert cut_off.uploader.totals.errors == len(cut_off.waits)
    post.work()
    assert post.sequences() == list(range(20))
    assert len(post.gateway.chunks) == 20
    cut_off.connection.close()


def test_a_lost_answer_doubles_nothing(post):
    post.gateway.behave = lambda n, _: Answer(unsaid=True) if n % 3 == 0 else Answer()
    for n in range(3):
        post.chunk(n)
    post.work()
    assert len(post.gateway.chunks) > 3
    assert post.sequences() == [0, 1, 2]


def test_the_original_server_is_content_too(post):
    post.gateway.original = True
    post.drops.add("SIZE", [1], [None])
    for n in range(3):
        post.chunk(n)
    post.work()
    assert len(post.gateway.stored) == 3
    assert len(post.drops.rows()) == 1


def test_an_empty_or_foreign_file_blocks_nobody(post):
    outbox = post.studio.spool.outbox
    (outbox / "chunk_20250101_000000.ogg").write_bytes(b"")
    (outbox / "chunk_20250101_000001.ogg").write_bytes(b"no sound")
    (outbox / "chunk_X.ogg").write_bytes(ogg_chunk(1))
    (outbox / "chunk_20260101_120000_0001_000009.ogg.part").write_bytes(ogg_chunk(1))
    (outbox / "notes.txt").write_text("x")
    post.chunk(0)
    post.work()
    assert post.sequences() == [0]
    assert len([name for name in names(post.studio.spool.rejected) if not name.endswith(".reason")]) == 3
    assert names(outbox) == ["chunk_20260101_120000_0001_000009.ogg.part", "notes.txt"]


def test_a_chunk_that_cannot_be_moved_is_sent_once(post, monkeypatch):
    path = post.chunk(0)

    def refuse(_: Path) -> None:
        raise OSError("read-only")

    with monkeypatch.context() as patched:
        patched.setattr(post.studio.spool, "mark_sent", refuse)
        post.work()
        post.work()
        assert len(post.gateway.chunks) == 1
    post.work()
    assert names(post.studio.spool.uploaded) == [path.name]
    assert len(post.gateway.chunks) == 1


def test_the_server_s_clock_is_heard(post):
    post.gateway.date = lambda: post.studio.time.wall / SECOND + 86_400
    post.chunk(0)
    post.work()
    now = post.studio.boots.server_now_us()
    assert now is not None
    assert now - post.studio.time.wall == pytest.approx(86_400 * SECOND, abs=SECOND)


def test_drops_and_silences_are_told_once_until_told(post):
    post.gateway.behave = lambda n, _: Answer(503) if n < 2 else Answer()
    post.drops.add("AGE", [10, 20], [post.studio.time.wall, None])
    post.silences.add(Stamp("run", 4, post.studio.time.boot, post.studio.time.steady, 0, 16_000), 60 * SECOND)
    post.work()
    (drop,) = post.gateway.drops
    assert drop | {"report_id": ""} == {
        **WHO.fields(),
        "report_id": "",
        "files": 2,
        "bytes": 30,
        "reason": "AGE",
        "oldest_ts": "2026-01-01T11:00:00+00:00",
        "newest_ts": "2026-01-01T11:00:00+00:00",
    }
    (silence,) = post.gateway.silences
    assert silence["sequence"] == 4
    assert silence["boot_id"] == "run"
    moments = [datetime.fromisoformat(silence[name]).timestamp() for name in ("start_ts", "end_ts", "clock_ts")]
    assert moments[1] - moments[0] == 60
    assert moments[2] > moments[0]
    assert (post.drops.rows(), post.silences.rows()) == ((), ())


def test_a_silence_that_goes_on_is_told_together_but_at_once_after_speech(post):
    def silent(sequence: int) -> None:
        stamp = Stamp("run", sequence, post.studio.time.boot, post.studio.time.steady, 0, 16_000)
        post.silences.add(stamp, 60 * SECOND)
        post.studio.time.pass_s(60)
        post.work()

    for sequence in range(12):
        silent(sequence)
    lengths = [
        datetime.fromisoformat(one["end_ts"]) - datetime.fromisoformat(one["start_ts"]) for one in post.gateway.silences
    ]
    assert [length.total_seconds() for length in lengths] == [60, 300, 300]
    post.chunk(12)
    post.studio.time.pass_s(60)
    post.work()
    silent(13)
    assert post.silences.rows() == ()


def test_a_file_that_cannot_be_set_aside_makes_no_hot_loop(post, monkeypatch):
    post.gateway.behave = lambda n, path: Answer(422, {"detail": "Empty file"})
    post.chunk(0)
    monkeypatch.setattr(post.studio.spool, "set_aside", lambda *_, **__: False)
    post.work(hours=0.01)
    assert len(post.gateway.requests) < 6


@pytest.mark.parametrize("cut", [0, 5000, 300_000])
def test_a_big_chunk_goes_on_where_the_connection_broke(post, cut):
    post.uploader.resumable_from = 0
    path = post.chunk(0, seconds=240)
    size = path.stat().st_size
    assert size > 2 * (1 << 18)
    patches = [0]

    def behave(_: int, where: str) -> Answer:
        if "/uploads/" not in where:
            return Answer()
        patches[0] += 1
        return Answer(cut=cut) if patches[0] <= 3 else Answer()

    post.gateway.behave = behave
    post.work()
    (upload,) = post.gateway.uploads.values()
    assert upload["content"] == (post.studio.spool.uploaded / path.name).read_bytes()
    assert post.sequences() == [0]
    assert len(post.waits) == 3


def test_a_resumed_chunk_is_resumed_after_a_restart(post, tmp_path):
    post.uploader.resumable_from = 0
    path = post.chunk(0, seconds=240)
    post.gateway.behave = lambda n, where: Answer(cut=1000) if n == 2 else Answer()
    post.work(hours=0.0001)
    post.connection.close()
    again = Post(tmp_path, post.gateway, resumable_from=0)
    again.studio.time.pass_s(10)
    again.work()
    assert len(post.gateway.uploads) == 1
    assert (again.studio.spool.uploaded / path.name).exists()
    again.connection.close()


def test_an_upload_whose_last_answer_was_lost_is_whole(post):
    post.uploader.resumable_from = 0
    post.chunk(0)
    post.gateway.behave = lambda n, where: Answer(unsaid=True) if "/uploads/" in where and n < 3 else Answer()
    post.work()
    assert post.sequences() == [0]
    assert len([1 for method, _, _ in post.gateway.requests if method == "PATCH"]) == 1


def test_a_jump_of_the_clock_begins_the_upload_anew(post):
    post.uploader.resumable_from = 0
    post.chunk(0, seconds=240)
    post.gateway.behave = lambda n, where: Answer(cut=1000) if n == 1 else Answer()
    post.uploader.step()
    (begun,) = post.gateway.uploads
    post.studio.time.jump_s(3600)
    post.work()
    assert begun not in post.gateway.uploads
    (upload,) = post.gateway.uploads.values()
    assert upload["fields"]["start_ts"].startswith("2026-01-01T12:00:00")


def test_after_two_cuts_a_small_chunk_goes_by_pieces_where_that_is_offered(post):
    post.gateway.behave = lambda _, where: Answer(cut=500) if where == "/api/v1/chunks" else Answer()
    post.chunk(0)
    post.work()
    assert post.sequences() == [0]
    assert [path for _, path, _ in post.gateway.requests if path == "/api/v1/chunks"] == ["/api/v1/chunks"] * 2


def test_without_resumable_uploads_it_is_posted_again(post):
    post.gateway.tus = False
    post.uploader.resumable_from = 0
    post.gateway.behave = lambda n, _: Answer(cut=500) if n < 4 else Answer()
    post.chunk(0)
    post.work()
    assert post.sequences() == [0]
    assert {path for _, path, _ in post.gateway.requests} == {"/api/v1/chunks"}


def test_a_refusal_at_the_beginning_of_an_upload_is_a_refusal(post):
    post.uploader.resumable_from = 0
    post.gateway.behave = lambda n, _: Answer(413, {"detail": "too large"}) if n == 0 else Answer()
    post.chunk(0)
    post.chunk(1)
    post.work()
    assert post.sequences() == [1]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b'{"status": "ok"}', Stored),
        (200, b"null", Later),
        (422, b'{"detail": []}', Refused),
        (422, b"{}", Later),
        (409, b'{"detail": "x"}', Taken),
        (418, b"", Later),
    ],
)
def test_the_verdicts(status, body, kind):
    assert isinstance(judge(status, {}, body), kind)


def test_the_backoff_doubles_up_to_its_longest_and_adds_chance():
    backoff = Backoff(2, 300, chance=lambda: 1.0)
    waits = [backoff.wait() for _ in range(10)]
    assert waits == pytest.approx([2.6, 5.2, 10.4, 20.8, 41.6, 83.2, 166.4, 332.8, 390, 390])
    backoff.reset()
    assert backoff.wait() == pytest.approx(2.6)
    assert 2 <= Backoff(2, 300).wait() <= 2.6


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5),
        ("999999", 3600),
        ("Thu, 01 Jan 2026 11:01:00 GMT", 60),
        ("Thu, 01 Jan 2026 10:00:00 GMT", 0),
        ("x", None),
    ],
)
def test_retry_after_in_both_ways(text, seconds):
    assert retry_after_s(text, datetime(2026, 1, 1, 11, 0, tzinfo=UTC)) == seconds
