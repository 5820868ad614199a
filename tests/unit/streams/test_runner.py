"""A runner against the real decider, in virtual time: leases, heartbeats, what is told, and how runs end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import pytest

from producers.commands import CommandAnswer
from schemas.errors import InvalidEvent, TransientFailure
from streams.decisions import Accepted, Command
from streams.runner.desk import Desk
from streams.runner.loop import News, Rest, Runner
from streams.runner.shift import Pace, reason_of
from streams.steps import WorkFailed
from tests.drivers.cheap_vision import open_worker
from tests.drivers.deciding import DECIDERS
from tests.drivers.virtual_time import freeze, run

LEASE_S = 9.0
REST = Rest()
PACE = Pace(absent_s=5.0, retry_s=1.0, grace_s=3.0)
Look = Callable[[Mapping[str, Any]], Coroutine[Any, Any, Mapping[str, Any]]]


class Log:
    """Decider `scenarios` behind `Commands`: decides at once, in the loop's time. `away`: nothing gets through."""

    def __init__(self) -> None:
        self._decider = DECIDERS["scenarios"]
        self.state = self._decider.state.empty()
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self.answers: dict[str, CommandAnswer] = {}
        self.asked: list[tuple[str, float]] = []
        self.away = self.deaf = False

    async def command(
        self, command: str, key: str, record: Mapping[str, Any], *, command_id: str | None = None
    ) -> CommandAnswer:
        del key
        now = asyncio.get_running_loop().time()
        self.asked.append((command, now))
        if self.away:
            await asyncio.sleep(1)
            raise TransientFailure("Kafka is away")
        answer = self.answers.get(command_id or "") or self.decide(command, record)
        self.answers[command_id or ""] = answer
        if self.deaf:
            await asyncio.sleep(1)
            raise TransientFailure("no answer came")
        return answer

    def decide(self, command: str, record: Mapping[str, Any]) -> CommandAnswer:
        at_us = int(asyncio.get_running_loop().time() * 1_000_000)
        verdict = self._decider.decide(self.state, Command(command, record, at_us, "c"))
        if not isinstance(verdict, Accepted):
            return CommandAnswer(False, verdict.code, verdict.detail)
        for one in verdict.events:
            self.events.append((one.name, one.record))
            self.state = self._decider.evolve(self.state, one.name, one.record)
        return CommandAnswer(True, None, None, verdict.result)

    def create(self, source: str | None = "frames/30", settings: Mapping[str, Any] | None = None) -> int:
        record = {"status": "init_startup", "source": source, "settings": json.dumps(settings or {}), "by": None}
        answer = self.decide("CreateScenario", record)
        assert answer.result
        return answer.result["scenario_id"]

    def told(self, *names: str) -> list[tuple[str, Mapping[str, Any]]]:
        return [(name, body) for name, body in self.events if name in names]

    def count(self, command: str) -> int:
        return sum(name == command for name, _ in self.asked)


async def cheap(request: Mapping[str, Any]) -> Mapping[str, Any]:
    return open_worker({})(request)


def slow(seconds: float) -> Look:
    async def look(request: Mapping[str, Any]) -> Mapping[str, Any]:
        await asyncio.sleep(seconds)
        return open_worker({})(request)

    return look


class Crew:
    """One runner at work on a log."""

    def __init__(self, look: Look = cheap, video: str | None = None, rest: Rest = REST) -> None:
        self.log, self.stop, self.news = Log(), asyncio.Event(), News()
        self.desk = Desk(self.log, "r", LEASE_S)
        self.runner = Runner(self.desk, look, video, self.stop, self.news, PACE, rest, chance=lambda: 0.5)

    async def works(self, seconds: float) -> None:
        """Let the runner work for so long, then tell it to end, and wait until it has."""
        working = asyncio.create_task(self.runner.run())
        await asyncio.wait((working,), timeout=seconds)
        self.stop.set()
        await working


def in_virtual_time(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def plain() -> None:
        run(test())

    plain.__name__, plain.__doc__ = test.__name__, test.__doc__
    return plain


@in_virtual_time
async def test_what_is_seen_is_told_interval_by_interval_and_the_run_ends() -> None:
    crew = Crew()
    crew.log.create("frames/25")
    await crew.works(5)
    seen = [body for _, body in crew.log.told("PredictionsRecorded")]
    assert [(one["first_frame"], one["last_frame"]) for one in seen] == [(0, 9), (10, 19), (20, 24)]
    assert [json.loads(one["summary"])["frames"] for one in seen] == [10, 20, 25]
    assert [body["outcome"] for _, body in crew.log.told("ScenarioRunFinished")] == ["done"]
    assert crew.log.state.scenarios["1"].status == "active"


@in_virtual_time
async def test_nothing_more_is_looked_at_before_what_was_seen_is_accepted() -> None:
    looks: list[int] = []

    async def look(request: Mapping[str, Any]) -> Mapping[str, Any]:
        looks.append(request.get("first_frame", -1))
        crew.log.away = request.get("first_frame") == 10
        return open_worker({})(request)

    crew = Crew(look)
    crew.log.create()
    working = asyncio.create_task(crew.works(60))
    await asyncio.sleep(4)
    assert looks == [0, 10]
    crew.log.away = False
    await working
    assert looks == [0, 10, 20, -1]
    assert [body["first_frame"] for _, body in crew.log.told("PredictionsRecorded")] == [0, 10, 20]


@in_virtual_time
async def test_an_answer_that_is_not_heard_is_asked_for_again_and_nothing_is_told_twice() -> None:
    crew = Crew()
    crew.log.create()
    crew.log.deaf = True
    working = asyncio.create_task(crew.works(60))
    await asyncio.sleep(2.5)
    assert crew.log.count("ClaimScenario") == 2
    assert len(crew.log.told("ScenarioAssigned")) == 1
    crew.log.deaf = False
    await working
    assert [body["first_frame"] for _, body in crew.log.told("PredictionsRecorded")] == [0, 10, 20]


@in_virtual_time
async def test_a_lease_counts_from_before_the_question_was_sent() -> None:
    class Far(Log):
        async def command(self, *arguments: Any, **more: Any) -> CommandAnswer:
            answer = await super().command(*arguments, **more)
            await asyncio.sleep(2)
            return answer

    log, now = Far(), asyncio.get_running_loop().time
    log.create()
    desk = Desk(log, "r", LEASE_S)
    run = await desk.claim()
    assert run
    assert run.lease.left_s(now()) == LEASE_S - 2
    await desk.renew(run, None, None)
    assert run.lease.left_s(now()) == LEASE_S - 2


@in_virtual_time
async def test_a_claim_that_was_decided_long_ago_is_only_worked_on_while_it_stands() -> None:
    looks: list[Mapping[str, Any]] = []

    async def look(request: Mapping[str, Any]) -> Mapping[str, Any]:
        looks.append(request)
        return await cheap(request)

    crew = Crew(look)
    crew.log.create()
    crew.log.deaf = True
    working = asyncio.create_task(crew.works(60))
    await asyncio.sleep(1.5)
    crew.log.deaf, crew.log.away = False, True
    await asyncio.sleep(LEASE_S + 2)
    crew.log.decide("ReclaimScenarios", {"by": None})
    crew.log.away = False
    await working
    assert [body["reason"] for _, body in crew.log.told("ScenarioRunFailed")] == ["lease_expired"]
    assert not crew.log.told("PredictionsRecorded")
    assert not looks


@in_virtual_time
async def test_heartbeats_come_three_to_a_lease_while_the_child_works() -> None:
    crew = Crew(slow(20))
    crew.log.create("frames/10")
    await crew.works(60)
    renewed = [body for _, body in crew.log.told("ScenarioLeaseRenewed")]
    assert [body["at_us"] for body in renewed][:6] == [n * 3_000_000 for n in range(1, 7)]
    assert crew.log.told("ScenarioRunFinished")


@in_virtual_time
async def test_progress_is_in_the_heartbeats() -> None:
    crew = Crew(slow(4))
    crew.log.create("frames/20")
    await crew.works(60)
    told = [(body["frame"], body["frames"]) for _, body in crew.log.told("ScenarioLeaseRenewed")]
    assert told == [(None, None), (9, 20)]


@in_virtual_time
async def test_how_many_frames_there_were_is_told_also_of_a_short_run() -> None:
    crew = Crew()
    crew.log.create("frames/25")
    await crew.works(5)
    told = [(body["frame"], body["frames"]) for _, body in crew.log.told("ScenarioLeaseRenewed")]
    assert told == [(24, 25)]


@in_virtual_time
async def test_a_run_whose_lease_ran_out_is_given_up_without_another_word() -> None:
    crew = Crew(slow(2))
    crew.log.create("frames/1000")
    working = asyncio.create_task(crew.works(30))
    await asyncio.sleep(5)
    crew.log.away = True
    await asyncio.sleep(LEASE_S)
    written = [when for name, when in crew.log.asked if name in ("RecordPredictions", "RenewScenarioLease")]
    assert max(written) < 3 + LEASE_S + 1
    await working
    held = crew.log.state.scenarios["1"]
    assert max(when for name, when in crew.log.asked if name != "ClaimScenario") * 1_000_000 < held.lease_until_us


@in_virtual_time
async def test_who_was_frozen_beyond_the_lease_writes_nothing() -> None:
    async def look(request: Mapping[str, Any]) -> Mapping[str, Any]:
        if request.get("first_frame") == 10:
            freeze(LEASE_S + 1)
        return open_worker({})(request)

    crew = Crew(look)
    crew.log.create()
    await crew.works(0.5)
    assert [body["last_frame"] for _, body in crew.log.told("PredictionsRecorded")] == [9]
    assert not crew.log.told("ScenarioRunFailed", "ScenarioRunFinished")


@in_virtual_time
async def test_a_stale_epoch_ends_the_run_at_once() -> None:
    crew = Crew(slow(1))
    crew.log.create("frames/1000")
    working = asyncio.create_task(crew.works(10))
    await asyncio.sleep(2.5)
    crew.log.decide("SetScenarioStatus", {"scenario_id": 1, "status": "init_startup", "by": None})
    crew.log.decide("ClaimScenario", {"runner_id": "other", "lease_ms": 60_000})
    await working
    mine = [body for _, body in crew.log.told("PredictionsRecorded")]
    assert [one["last_frame"] for one in mine] == [9, 19]
    assert crew.log.state.scenarios["1"].runner_id == "other"
    assert crew.log.count("RecordPredictions") <= 3


@in_virtual_time
async def test_who_is_told_to_stop_tells_what_was_seen_and_finishes() -> None:
    crew = Crew(slow(1))
    crew.log.create("live")
    working = asyncio.create_task(crew.works(10))
    await asyncio.sleep(2.5)
    crew.log.decide("SetScenarioStatus", {"scenario_id": 1, "status": "init_shutdown", "by": None})
    await working
    assert [body["last_frame"] for _, body in crew.log.told("PredictionsRecorded")] == [9, 19, 29]
    assert [body["outcome"] for _, body in crew.log.told("ScenarioRunFinished")] == ["stopped"]
    assert crew.log.state.scenarios["1"].status == "inactive"


@in_virtual_time
async def test_a_look_that_takes_too_long_is_left_when_told_to_stop() -> None:
    crew = Crew(slow(1000))
    crew.log.create("live")
    working = asyncio.create_task(crew.works(30))
    await asyncio.sleep(1)
    crew.log.decide("SetScenarioStatus", {"scenario_id": 1, "status": "init_shutdown", "by": None})
    await asyncio.sleep(3 + PACE.grace_s + 0.1)  # the next heartbeat tells it
    assert crew.log.state.scenarios["1"].status == "inactive"
    await working


@in_virtual_time
async def test_a_runner_that_ends_gives_its_scenario_back_at_no_cost() -> None:
    crew = Crew(slow(1))
    crew.log.create("frames/1000")
    await crew.works(2.5)
    assert [body["last_frame"] for _, body in crew.log.told("PredictionsRecorded")] == [9, 19, 29]
    failed = [body for _, body in crew.log.told("ScenarioRunFailed")]
    assert [(body["reason"], body["attempt"], body["final"]) for body in failed] == [("stopped", 0, False)]
    due = [body for _, body in crew.log.told("ScenarioRetryDue")]
    assert [body["due_us"] - body["at_us"] for body in due] == [0]


@in_virtual_time
async def test_a_runner_that_cannot_give_its_scenario_back_ends_all_the_same() -> None:
    crew, now = Crew(slow(1)), asyncio.get_running_loop().time
    crew.runner.desk = Desk(crew.log, "r", 60.0)
    crew.log.create("frames/1000")
    working = asyncio.create_task(crew.works(2.5))
    await asyncio.sleep(2.2)
    crew.log.away = True
    await working
    assert now() < 2.5 + 2 * PACE.grace_s + 2.5  # for the look at hand, then for the word, then to let go
    assert not crew.log.told("ScenarioRunFailed")


@in_virtual_time
async def test_the_next_runner_goes_on_after_the_last_acknowledged_frame_with_its_summary() -> None:
    crew = Crew(slow(1))
    crew.log.create("frames/50")
    await crew.works(1.5)
    crew.log.decide("RetryScenario", {"scenario_id": 1, "attempt": 0})
    crew.stop.clear()
    await crew.works(30)
    seen = [body for _, body in crew.log.told("PredictionsRecorded")]
    assert [one["first_frame"] for one in seen] == [0, 10, 20, 30, 40]
    assert json.loads(seen[-1]["summary"])["frames"] == 50


@in_virtual_time
async def test_the_source_is_let_go_of_after_the_run_unless_the_look_at_it_was_left() -> None:
    asked: list[Mapping[str, Any]] = []

    async def look(request: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append(request)
        await asyncio.sleep(100 if request.get("first_frame") == 20 else 0)
        return open_worker({})(request)

    crew = Crew(look)
    crew.log.create("frames/20")
    await crew.works(5)
    assert [one.get("release", False) for one in asked] == [False, False, True]
    asked.clear()
    crew = Crew(look)
    crew.log.create("live")
    await crew.works(5)
    assert [one.get("release", False) for one in asked] == [False, False, False]


def failing(*failures: Exception) -> Look:
    left = list(failures)

    async def look(request: Mapping[str, Any]) -> Mapping[str, Any]:
        if left:
            raise left.pop(0)
        return open_worker({})(request)

    return look


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (InvalidEvent("failed_to_read_frame: no video"), "failed_to_read_frame: no video"),
        (InvalidEvent("The settings of vision are wrong"), "inference_error: The settings of vision are wrong"),
        (WorkFailed("vision was ended by SIGKILL"), "inference_error: vision was ended by SIGKILL"),
        (KeyError("end"), "unexpected_error: KeyError 'end'"),
    ],
)
def test_why_a_run_failed_is_told_in_the_words_that_are_known(failure: Exception, reason: str) -> None:
    async def scene() -> None:
        crew = Crew(failing(failure))
        crew.log.create()
        await crew.works(0.5)
        assert [body["reason"] for _, body in crew.log.told("ScenarioRunFailed")] == [reason]

    run(scene())


@in_virtual_time
async def test_a_source_that_is_away_is_tried_for_a_while() -> None:
    crew = Crew(failing(*[TransientFailure("vision: failed_to_read_frame: no such file")] * 2))
    crew.log.create()
    await crew.works(10)
    assert crew.log.told("ScenarioRunFinished")
    crew = Crew(failing(*[TransientFailure("vision: failed_to_read_frame: no such file")] * 99))
    crew.log.create()
    await crew.works(10)
    failed = [body["reason"] for _, body in crew.log.told("ScenarioRunFailed")]
    assert failed == ["failed_to_read_frame: no such file"]


@in_virtual_time
async def test_a_camera_that_has_worked_is_waited_for() -> None:
    looks = 0

    async def look(request: Mapping[str, Any]) -> Mapping[str, Any]:
        nonlocal looks
        looks += 1
        if 2 <= looks < 40:
            raise TransientFailure("the camera is away")
        await asyncio.sleep(1)
        return open_worker({})(request)

    crew = Crew(look)
    crew.log.create("live")
    await crew.works(600)
    assert [body["reason"] for _, body in crew.log.told("ScenarioRunFailed")] == ["stopped"]
    assert len(crew.log.told("PredictionsRecorded")) > 2


def blind(dumb_s: float) -> Look:
    """A camera that never gives a frame: each look ends with nothing, and after so many seconds it is told why."""
    opened_at: list[float] = []

    async def look(request: Mapping[str, Any]) -> Mapping[str, Any]:
        now = asyncio.get_running_loop().time()
        opened_at.append(now) if not opened_at else None
        await asyncio.sleep(2)
        if now - opened_at[0] >= dumb_s:
            opened_at.clear()
            raise TransientFailure("vision: failed_to_read_frame: camera 7 gives no frames: it is off")
        nothing = {"intervals": [], "summary": {}, "frames_total": None, "next_frame": 0, "end": False}
        return {} if request.get("release") else nothing

    return look


@in_virtual_time
async def test_a_camera_that_never_gave_a_frame_is_not_waited_for() -> None:
    crew = Crew(blind(3))
    crew.log.create("live")
    await crew.works(PACE.absent_s + 8)
    failed = [body["reason"] for _, body in crew.log.told("ScenarioRunFailed")]
    assert failed == ["failed_to_read_frame: camera 7 gives no frames: it is off"]
    assert {body["frame"] for _, body in crew.log.told("ScenarioLeaseRenewed")} == {None}


def test_no_password_of_a_source_gets_into_the_runners_log(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        crew = Crew(failing(*[TransientFailure("vision: failed_to_read_frame: away")] * 99))
        crew.log.create("rtsp://user:secret@camera/1?key=secret")
        await crew.works(10)

    caplog.set_level("INFO")
    run(scene())
    assert "begins at frame 0 of rtsp://camera/1" in caplog.text
    assert "secret" not in caplog.text


@in_virtual_time
async def test_a_scenario_without_a_source_gets_the_runners_and_fails_where_that_has_none() -> None:
    crew = Crew(video="frames/10")
    crew.log.create(None)
    await crew.works(5)
    assert crew.log.told("ScenarioRunFinished")
    crew = Crew()
    crew.log.create(None)
    await crew.works(0.5)
    reasons = [body["reason"] for _, body in crew.log.told("ScenarioRunFailed")]
    assert reasons == ["failed_to_read_frame: the scenario names no source, and its runner has none either"]


@in_virtual_time
async def test_a_refused_prediction_fails_the_run() -> None:
    async def look(request: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = dict(open_worker({})(request))
        return (
            answer if request.get("release") else answer | {"intervals": [answer["intervals"][0] | {"first_frame": -5}]}
        )

    crew = Crew(look)
    crew.log.create()
    await crew.works(0.5)
    reasons = [body["reason"] for _, body in crew.log.told("ScenarioRunFailed")]
    assert len(reasons) == 1
    assert reasons[0].startswith("db_save_error: invalid_predictions")


@in_virtual_time
async def test_who_hears_of_work_asks_seldom_and_comes_at_once() -> None:
    crew = Crew(rest=Rest(poll_s=1, heard_s=100))
    working = asyncio.create_task(crew.works(60))
    await asyncio.sleep(10.5)
    assert crew.log.count("ClaimScenario") == 11
    crew.news.is_heard = True
    await asyncio.sleep(20)
    assert crew.log.count("ClaimScenario") == 12
    crew.log.create("frames/10")
    crew.news.event.set()
    await asyncio.sleep(0.1)
    assert crew.log.told("ScenarioRunFinished")
    await working


@in_virtual_time
async def test_a_runner_outlives_kafka_and_asks_ever_more_slowly() -> None:
    crew = Crew()
    crew.log.away = True
    crew.log.create()
    working = asyncio.create_task(crew.works(120))
    await asyncio.sleep(100)
    assert 5 < crew.log.count("ClaimScenario") < 20
    crew.log.away = False
    await working
    assert crew.log.told("ScenarioRunFinished")


def test_reasons_begin_with_the_known_word_wherever_it_stands() -> None:
    assert reason_of(WorkFailed("vision: failed_to_read_frame: x")) == "failed_to_read_frame: x"
    assert reason_of(InvalidEvent("inference_error: no such model")) == "inference_error: no such model"
    assert reason_of(WorkFailed("x")) == "inference_error: x"
