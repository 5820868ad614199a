"""What asr workers elsewhere and the process `asr` say to each other over HTTP; `docs/asr-worker.md` tells it in words.

Pure: shared by both sides, so that the worker's machine needs nothing of the log.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from streams.workers.transcripts import AsrPass, Task, Transcript

ROOT: Final = "/api/v1/internal/asr"
LEASES: Final = f"{ROOT}/leases"
LONGEST_POLL_S: Final = 30.0

FailureKind = Literal["bad_input", "not_now", "failed", "given_back"]
Name = msgspec.Meta(min_length=1, max_length=128)


class LeaseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A worker asks for work. `models`: the model's name by pass it can do; `wait_s`: how long the answer may take."""

    worker: str
    models: dict[AsrPass, str]
    wait_s: float = 0.0


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """Work for one worker: without a heartbeat every `heartbeat_s` it goes to another after `lease_s`.

    `epoch` counts how often the task has been handed out.
    """

    lease_id: str
    epoch: int
    lease_s: float
    heartbeat_s: float
    task: Task


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """The work goes on; `elapsed_s` since it began."""

    elapsed_s: float = 0.0


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What was heard."""

    task_id: str
    transcript: Transcript


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing was heard: hopeless input, an outage, a crash; or the worker stops and gives the task back."""

    kind: FailureKind
    error: str = ""
