"""The wrapper's promises on a real Kafka, with the worker in a process of its own that can be killed."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers.processing import Processing
from tests.drivers.waiting import eventually


@pytest.fixture
def world(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Processing]:
    with Processing(kafka_bootstrap, tmp_path) as processing:
        yield processing


def test_a_new_group_starts_at_the_earliest_event(world: Processing) -> None:
    world.post("a", "b")
    world.start()
    world.post("c")
    world.wait_until_processed()
    assert world.said() == ["a 0", "b 1", "c 2"]


def test_sigterm_ends_it_cleanly_and_nothing_is_done_again(world: Processing) -> None:
    world.post("a", "b")
    worker = world.start(commit_every_s=600)
    eventually(lambda: len(world.outputs()) == 2, 30)
    worker.terminate()
    assert worker.wait(20) == 0
    assert world.committed() == 2
    world.post("c")
    world.start()
    world.wait_until_processed()
    assert [said for _, said in world.outputs()] == ["a 0", "b 1", "c 2"]


def test_outputs_that_the_broker_refuses_stop_the_input_and_arrive_later(kafka_bootstrap: str, tmp_path: Path) -> None:
    with Processing(kafka_bootstrap, tmp_path, out={"max.message.bytes": "100"}) as world:
        world.post("a", "b", "c")
        worker = world.start()
        world.wait_for_log("(attempt 3")
        assert f"stopped at {world.plan.topic_in}/0@0" in world.log
        assert world.committed() == 0
        assert worker.poll() is None
        world.configure(world.plan.topic_out, "max.message.bytes", "1048576")
        world.wait_until_processed()
        assert [said for _, said in world.outputs()] == ["a 0", "b 1", "c 2"]
        assert world.dead_letters() == []


def test_a_refused_output_stops_its_own_partition_only(kafka_bootstrap: str, tmp_path: Path) -> None:
    with Processing(kafka_bootstrap, tmp_path, partitions=2, out={"max.message.bytes": "1000"}) as world:
        world.post("a", secrets.token_hex(2000), "b", partition=0)
        world.start(stall_s=2.0)
        world.wait_for_log(f"stopped at {world.plan.topic_in}/0@")
        world.post(*(f"waits {n}" for n in range(200)), partition=0)  # more than fits into memory
        for n in range(1, 6):  # one by one: together their outputs would be too large for this topic
            world.post(f"s{n}", partition=1)
            eventually(lambda n=n: world.positions().get(1) == n, 30)
        assert world.positions()[0] <= 1
        world.configure(world.plan.topic_out, "max.message.bytes", "1048576")
        world.wait_until_processed()
        assert len(world.said()) == 208
        assert world.dead_letters() == []


@pytest.mark.parametrize("outputs", [1, 3])
def test_kill_9_between_output_and_acknowledgement_has_the_effect_once(world: Processing, outputs: int) -> None:
    world.post("a", "b", "c", "d")
    crashed = world.start(kill_after_outputs=outputs, commit_every_s=600)
    assert crashed.wait(30) == -signal.SIGKILL
    before = len(world.outputs())
    assert before >= outputs
    assert world.committed() == 0
    world.start()
    world.wait_until_processed()
    assert len(world.outputs()) == before + 4, "the outputs before the crash came again, else this proves nothing"
    assert world.said() == ["a 0", "b 1", "c 2", "d 3"]


def test_kill_9_inside_a_step_loses_nothing(world: Processing) -> None:
    world.post("a", "die", "b")
    assert world.start(kill_after_outputs=99).wait(30) == -signal.SIGKILL
    world.start()
    world.wait_until_processed()
    assert world.said() == ["a 0", "die 1", "b 2"]


def test_poison_becomes_a_dead_letter_with_its_bytes_and_the_stream_goes_on(world: Processing) -> None:
    world.post("a")
    world.append(b"\x00\x00\x00\x00\x63poison", headers=[("x", b"y")])
    world.post("bug", "b")
    world.start()
    world.wait_until_processed()
    poison, bug = world.dead_letters()
    assert (poison["value"], poison["headers"]) == (b"\x00\x00\x00\x00\x63poison", [{"name": "x", "value": b"y"}])
    assert (poison["topic"], poison["offset"], poison["error"]) == (world.plan.topic_in, 1, "InvalidEvent")
    assert (bug["offset"], bug["error"]) == (2, "KeyError")
    assert world.said() == ["a 0", "b 1"]


def test_a_step_longer_than_the_session_costs_no_membership_and_no_double(world: Processing) -> None:
    world.post("a")
    world.start(seconds=9.0, session_s=6.0)
    world.wait_until_processed()
    members = world.members()
    world.post("slow", "b")
    world.wait_until_processed()
    assert world.members() == members
    assert [said for _, said in world.outputs()] == ["a 0", "slow 1", "b 2"]


def test_a_step_that_never_ends_is_noticed(world: Processing) -> None:
    world.post("a", "hang")
    assert world.start(step_s=1.0).wait(30) == 70
    assert f"the step at {world.plan.topic_in}/0@1 takes longer than 1 s" in world.log


def test_a_position_that_is_gone_is_told_in_numbers(world: Processing) -> None:
    world.post("a", "b")
    worker = world.start()
    world.wait_until_processed()
    worker.terminate()
    worker.wait(20)
    world.post("c", "d")
    world.drop_before(3)
    assert world.start().wait(30) == 1
    told = f"{world.plan.topic_in}, partition 0: offset 2 was asked for, but the log holds offsets 3 to 4"
    assert told in world.log


def test_the_state_comes_back_from_a_snapshot_and_the_log_since(world: Processing) -> None:
    first = world.start(snapshot_events=4)
    for session in "abcdefgh":
        world.post(session)
        world.wait_until_processed()
    first.terminate()
    first.wait(20)
    world.post("i")
    world.start()
    world.wait_until_processed()
    assert world.said()[-1] == "i 8"
    assert "before 8: 3 events folded" in world.log


def test_two_workers_share_the_partitions_and_one_takes_over_from_the_dead(
    kafka_bootstrap: str, tmp_path: Path
) -> None:
    with Processing(kafka_bootstrap, tmp_path, partitions=4) as world:
        first = world.start()
        eventually(lambda: len(world.members()) == 1, 30)
        for round_ in range(3):
            for partition in range(4):
                world.post(f"p{partition}", f"p{partition}", partition=partition)
            if round_ == 0:
                world.start()
                eventually(lambda: len(world.members()) == 2, 30)
            elif round_ == 1:
                first.kill()
        world.wait_until_processed(90)
        assert sorted(world.said()) == sorted(f"p{one} {number}" for one in range(4) for number in range(6))
        assert world.dead_letters() == []
