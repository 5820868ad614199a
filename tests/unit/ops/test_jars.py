from __future__ import annotations

import errno
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from ops.embedded import jars
from ops.errors import OperatorError

GOOD = b"a jar"
JAR = jars.Jar("org.example", "thing", "1.0", hashlib.sha256(GOOD).hexdigest(), len(GOOD))


class Repository:
    """Stands in for jgo: serves bytes, or fails, call by call."""

    def __init__(self, *answers: bytes | OSError) -> None:
        self.answers = list(answers)

    def __call__(self, _jar: jars.Jar, repository: Path, arrived: jars.Arrived) -> Path:
        answer = self.answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        repository.mkdir(parents=True)
        path = repository / "file.jar"
        path.write_bytes(answer)
        arrived(len(answer))
        return path


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def use(*answers: bytes | OSError) -> Repository:
        repository = Repository(*answers)
        monkeypatch.setattr(jars, "_download", repository)
        monkeypatch.setattr(jars, "locked", lambda: (JAR,))
        return repository

    return use


def test_the_lock_names_every_jar_once_with_its_hash() -> None:
    locked = jars.locked()
    assert len(locked) == len({jar.name for jar in locked}) == 47
    assert all(len(jar.sha256) == 64 and int(jar.sha256, 16) and jar.size > 0 for jar in locked)
    assert {"kafka_2.13-4.3.1.jar", "kafka-clients-4.3.1.jar", "slf4j-reload4j-1.7.36.jar"} <= {j.name for j in locked}


def test_a_download_is_put_in_place_when_it_is_the_locked_one(serve, tmp_path: Path) -> None:
    serve(GOOD)
    seen: list[int] = []
    directory = jars.ensure(tmp_path, seen.append)
    assert (directory / JAR.name).read_bytes() == GOOD
    assert (seen, [path.name for path in directory.iterdir()]) == ([len(GOOD)], [JAR.name])


def test_nothing_is_fetched_twice(serve, tmp_path: Path) -> None:
    serve(GOOD)
    jars.ensure(tmp_path, lambda _: None)
    jars.ensure(tmp_path, lambda _: pytest.fail("fetched again"))


def test_a_jar_cut_short_is_fetched_again_and_a_stranger_removed(serve, tmp_path: Path) -> None:
    serve(GOOD)
    directory = jars.folder(tmp_path)
    directory.mkdir(parents=True)
    (directory / JAR.name).write_bytes(GOOD[:2])
    (directory / "evil.jar").write_bytes(b"x")
    jars.ensure(tmp_path, lambda _: None)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == {JAR.name: GOOD}


def test_a_hiccup_is_tried_again(serve, tmp_path: Path) -> None:
    repository = serve(OSError("reset"), b"half", GOOD)
    jars.ensure(tmp_path, lambda _: None)
    assert repository.answers == []


def test_a_changed_file_never_gets_into_place(serve, tmp_path: Path) -> None:
    serve(*[b"evil"] * jars.ATTEMPTS)
    with pytest.raises(OperatorError, match="changed on its way"):
        jars.ensure(tmp_path, lambda _: None)
    assert not list(jars.folder(tmp_path).iterdir())


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "SENSORIUM_CACHE"),
        (PermissionError(errno.EACCES, "Permission denied"), "SENSORIUM_CACHE"),
        (OSError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), "REQUESTS_CA_BUNDLE"),
        (ConnectionError("Name or service not known"), "HTTPS_PROXY"),
    ],
)
def test_a_failure_is_one_sentence_that_says_what_to_do(serve, tmp_path: Path, error: OSError, words: str) -> None:
    serve(*[error] * jars.ATTEMPTS)
    with pytest.raises(OperatorError, match=words) as refused:
        jars.ensure(tmp_path, lambda _: None)
    assert "\n" not in str(refused.value)


def test_drafts_of_a_killed_download_are_swept(serve, tmp_path: Path) -> None:
    serve(GOOD)
    draft = jars.folder(tmp_path) / ".fetch-999999999-x"
    draft.mkdir(parents=True)
    jars.ensure(tmp_path, lambda _: None)
    assert not draft.exists()


def test_the_folder_changes_with_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text(f"{JAR.group}:{JAR.artifact}:{JAR.version} {JAR.sha256} {JAR.size}\n")
    before = jars.folder(tmp_path, lock)
    assert jars.locked(lock) == (JAR,)
    lock.write_text(lock.read_text().replace("1.0", "1.1"))
    assert jars.locked(lock) == (replace(JAR, version="1.1"),)
    assert jars.folder(tmp_path, lock) != before
