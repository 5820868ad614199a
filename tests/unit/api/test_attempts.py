from __future__ import annotations

import pytest

from api import attempts
from api.attempts import AttemptLimits, Attempts, TooManyAttempts, place
from api.passwords import Passwords
from schemas.errors import Overloaded


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_sixth_attempt_within_a_minute_is_one_too_many():
    clock = Clock()
    one = Attempts(clock=clock)
    for _ in range(5):
        one.begin("10.0.0.1", "anna")
    clock.now = 20
    with pytest.raises(TooManyAttempts) as told:
        one.begin("10.0.0.1", "anna")
    assert 40 <= told.value.retry_after_s <= 41
    one.begin("10.0.0.2", "anna")
    one.begin("10.0.0.1", "berta")
    clock.now = 61
    one.begin("10.0.0.1", "anna")


def test_one_place_may_not_try_many_names():
    one = Attempts(AttemptLimits(per_source=3), Clock())
    for n in range(3):
        one.begin("10.0.0.1", f"user{n}")
    with pytest.raises(TooManyAttempts):
        one.begin("10.0.0.1", "user4")


def test_who_signs_in_is_not_counted():
    one = Attempts(AttemptLimits(per_source=3), Clock())
    for _ in range(20):
        one.begin("10.0.0.1", "anna")
        one.succeeded("10.0.0.1", "anna")


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(attempts, "KNOWN", 10)
    one = Attempts(AttemptLimits(per_source=1000), Clock())
    for n in range(100):
        one.begin("10.0.0.1", f"user{n}")
    assert len(one._counted) <= 10


def test_an_ipv6_network_is_one_place():
    assert place("2001:db8::1") == place("2001:db8::ffff")
    assert place("2001:db8::1") != place("2001:db8:1::1")
    assert place("::ffff:10.0.0.1") == place("10.0.0.1") == "10.0.0.1"
    assert place("") == ""


async def test_hashes_are_argon2id_and_fit_their_password_only():
    passwords = Passwords(memory_kib=8, passes=1)
    known = await passwords.hash("secret1")
    assert known.startswith("$argon2id$")
    assert await passwords.fits("secret1", known)
    for wrong in (await passwords.hash("secret2"), None, "", "!", "$2b$12$" + "x" * 53, "$argon2id$broken"):
        assert not await passwords.fits("secret1", wrong)
    assert not await passwords.fits("nobody has this password", None)


async def test_too_many_at_once_are_told_to_come_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("api.passwords.WAITING", 0)
    with pytest.raises(Overloaded):
        await Passwords(memory_kib=8, passes=1).hash("secret1")


async def test_who_is_not_there_costs_the_same_work(monkeypatch: pytest.MonkeyPatch):
    passwords = Passwords(memory_kib=8, passes=1)
    known = await passwords.hash("secret1")
    checked: list[str] = []
    verify = passwords._verify
    monkeypatch.setattr(passwords, "_verify", lambda of, password: checked.append(of) or verify(of, password))
    for of in (known, None, "!", "$2b$12$"):
        await passwords.fits("secret1", of)
    assert [of.split("$")[1:4] for of in checked] == [known.split("$")[1:4]] * 4
