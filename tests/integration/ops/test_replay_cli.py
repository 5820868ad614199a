"""The commands as an operator types them: words, exit codes, refusals in one sentence."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ops import dead_letters, dead_letters_cli, replay_cli, topics
from ops.errors import OperatorError
from producers.publisher import Message
from projections.registry import READ_MODELS
from schemas.topics import TOPICS
from tests.drivers.projecting import Site, site

Run = Callable[..., Result]


@pytest.fixture
def there(kafka_bootstrap: str, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Site]:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka_bootstrap)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("SENSORIUM_HOME", str(tmp_path))
    topics.ensure(kafka_bootstrap, {name: TOPICS[name] for model in READ_MODELS.values() for name in model.topics})
    with site(kafka_bootstrap, database_url) as made:
        made.models = dict(READ_MODELS)  # the command knows the registry's topics only
        yield made


@pytest.fixture
def run() -> Run:
    def invoke(*arguments: str, app: str = "replay") -> Result:
        chosen = replay_cli.app if app == "replay" else dead_letters_cli.app
        result = CliRunner().invoke(chosen, arguments)
        if isinstance(result.exception, OperatorError):
            return result
        assert result.exception is None, result.exception
        return result

    return invoke


def test_replay_check_switch_roll_back_retire(there: Site, run: Run) -> None:
    with there.projector():
        there.caught_up("emotion_moments", timeout=60)
        assert "gives the same rows and checksums" in run("replay", "emotion_moments", "--check").output
        assert "emotion_moments_v2 is live." in run("replay", "emotion_moments").output
        assert "emotion_moments_v1 is live again." in run("rollback", "emotion_moments").output
        assert "Dropped emotion_moments_v2." in run("retire", "emotion_moments").output


def test_a_view_of_the_past(there: Site, run: Run) -> None:
    with there.projector():
        there.caught_up("emotion_moments", timeout=60)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))
        shown = run("replay", "emotion_moments", "--until", now, "--name", "a_second_ago").output
        assert "?as_of=a_second_ago" in shown
        assert "Dropped" in run("retire", "emotion_moments", "--name", "a_second_ago").output


def test_refusals_are_sentences(there: Site, run: Run) -> None:
    for arguments, sentence in (
        (("replay", "nothing"), "There is no read model nothing"),
        (("replay", "emotion_moments"), "has no live version yet"),
        (("replay", "emotion_moments", "--until", "2020-01-01"), "needs both --until TIME and --name NAME"),
        (("replay", "emotion_moments", "--until", "soon", "--name", "x"), "'soon' is not a time"),
        (("replay", "emotion_moments", "--until", "2999-01-01", "--name", "x"), "has not come yet"),
        (("replay", "emotion_moments", "--until", "2020-01-01", "--name", "No; DROP"), "cannot name a view"),
        (("rollback", "emotion_moments"), "has no live version yet"),
    ):
        assert sentence in str(run(*arguments).exception), arguments
    assert there.models


def test_dead_letters_without_any_choice(there: Site, run: Run) -> None:
    assert "Say which" in str(run("redrive", app="dead-letters").exception)
    assert "No dead letter begins with zz" in str(run("discard", "zz", app="dead-letters").exception)
    assert run("list", "--consumer", "nobody", app="dead-letters").output == "No open dead letters.\n"
    assert there.models


def test_bytes_are_shown_as_they_are() -> None:
    assert dead_letters_cli.hex_lines(b"\x00poison\xff" + b"a" * 9) == [
        "000000  00 70 6f 69 73 6f 6e ff 61 61 61 61 61 61 61 61  .poison.aaaaaaaa",
        "000010  61                                               a",
    ]


def test_redriving_what_was_deleted_is_refused_unless_forced(there: Site, run: Run) -> None:
    there.prefix = ""  # the command reads whatever topic the letter names
    there.publisher.publish_all([Message("emotion.points", b"key", f"poison {uuid.uuid4()}".encode(), [], 2)])
    offset = there.reader.end_offsets("emotion.points")[2] - 1
    with there.projector():
        there.caught_up("emotion_logs", timeout=60)
    there.truncate()
    (letter,) = (
        x
        for x in dead_letters.read(there.bootstrap)
        if (x.consumer, x.record.coordinates) == ("emotion_logs", f"emotion.points/2@{offset}")
    )
    assert "deleted by a truncation since" in str(run("redrive", letter.id, app="dead-letters").exception)
    assert "value     43 bytes" in run("show", letter.id, app="dead-letters").output
    assert "Redriven" in run("redrive", letter.id, "--force", app="dead-letters").output
    assert "was redriven already" in str(run("discard", letter.id, app="dead-letters").exception)
