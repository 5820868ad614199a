"""Who is let in: loopback, trusted networks, the bearer of ADMIN_TOKEN; and who a proxy speaks for."""

import pytest

from producers.admission import Admission
from producers.answers import Refused

HOME = Admission("s3cret", ["10.1.0.0/16", "fd00::/8"])


def admitted(admission: Admission, peer: str | None, **headers: str) -> bool:
    scope = {"client": None if peer is None else (peer, 5)}
    raw = {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in headers.items()}
    try:
        admission.admit(scope, raw)
    except Refused:
        return False
    return True


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "10.1.2.3", "::ffff:10.1.2.3", "fd12::1", None])
def test_neighbours_need_no_token(peer: str | None):
    assert admitted(HOME, peer)


def test_the_refusal_says_what_is_missing():
    with pytest.raises(Refused) as caught:
        HOME.require_token({})
    answer = caught.value.answer
    assert (answer.status, answer.body) == (401, b'{"detail":"Not authenticated"}')
    assert (b"www-authenticate", b"Bearer") in answer.headers


@pytest.mark.parametrize("peer", ["10.2.0.1", "8.8.8.8", "2001:db8::1", "::ffff:8.8.8.8", "nonsense"])
def test_strangers_need_one(peer: str):
    assert not admitted(HOME, peer)
    assert not admitted(HOME, peer, authorization="Bearer wrong")
    assert not admitted(HOME, peer, authorization="Basic s3cret")
    assert admitted(HOME, peer, authorization="Bearer s3cret")
    assert admitted(HOME, peer, authorization="bearer s3cret")


@pytest.mark.parametrize(
    ("headers", "inside"),
    [
        ({"x_forwarded_for": "8.8.8.8"}, False),
        ({"x_forwarded_for": "10.1.0.9"}, True),
        ({"x_forwarded_for": "127.0.0.1, 8.8.8.8"}, False),
        ({"x_forwarded_for": "8.8.8.8, 10.1.0.9"}, False),
        ({"x_forwarded_for": "garbage"}, False),
        ({"x_real_ip": "8.8.8.8"}, False),
        ({"x_real_ip": "10.1.0.9"}, True),
    ],
)
def test_a_proxy_on_this_machine_names_the_real_client(headers: dict[str, str], inside: bool):
    assert admitted(HOME, "127.0.0.1", **headers) is inside


def test_a_stranger_cannot_forge_its_address():
    assert not admitted(HOME, "8.8.8.8", x_forwarded_for="127.0.0.1")
    assert not admitted(HOME, "8.8.8.8", x_real_ip="127.0.0.1")


def test_without_a_configured_token_none_fits():
    assert not admitted(Admission(None), "8.8.8.8", authorization="Bearer ")
    assert not admitted(Admission(""), "8.8.8.8", authorization="Bearer ")


def test_the_token_is_not_kept():
    assert "s3cret" not in repr(vars(HOME))
