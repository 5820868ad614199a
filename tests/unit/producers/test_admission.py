"""Who is let in: loopback, trusted networks, the bearer of ADMIN_TOKEN; and who a proxy speaks for."""

import pytest

from producers.admission import Admission
from producers.answers import Refused

HOME = Admission("s3cret", ["10.1.0.0/16", "fd00::/8"])


def admitted(admission: Admission, peer: str | None, *, own_pages: bool = False, **headers: str) -> bool:
    scope = {"client": None if peer is None else (peer, 5)}
    raw = {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in headers.items()}
    try:
        admission.admit(scope, raw, own_pages=own_pages)
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
        ({"forwarded": "for=8.8.8.8"}, False),
        ({"forwarded": 'proto=https; For="[2001:db8::1]:4711";by=10.1.0.1'}, False),
        ({"forwarded": "for=10.1.0.9, for=8.8.8.8:80, for=127.0.0.1"}, False),
        ({"forwarded": "for=_hidden"}, False),
        ({"forwarded": 'for=""'}, False),
        ({"forwarded": "proto=https"}, False),
        ({"forwarded": 'for=10.1.0.9;proto=http, for="[fd12::1]"'}, True),
        ({"forwarded": "for=8.8.8.8", "x_forwarded_for": "10.1.0.9"}, False),
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


@pytest.mark.parametrize(
    ("forwarded", "real", "inside"),
    [
        ("127.0.0.1", "8.8.8.8", False),
        ("10.1.0.9", "8.8.8.8", False),
        ("8.8.8.8", "10.1.0.1", False),
        ("8.8.8.8", "8.8.8.8", False),
        ("10.1.0.9", "10.1.0.1", True),
        ("", "8.8.8.8", False),
        ("10.1.0.9", " ", True),
    ],
)
def test_of_both_headers_the_untrusted_one_is_the_client(forwarded: str, real: str, inside: bool):
    assert admitted(HOME, "127.0.0.1", x_forwarded_for=forwarded, x_real_ip=real) is inside


def test_empty_headers_name_nobody():
    assert HOME.client({"client": ("127.0.0.1", 5)}, {b"x-forwarded-for": b" , "}) == "127.0.0.1"


NAMED = Admission("s3cret", ["10.1.0.0/16"], ["Sensor", "sensor.example."])


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST:8000", "localhost.", "127.0.0.1:8000", "127.9.9.9", "[::1]:8000", "192.168.1.5"),
        *("sensor:8000", "SENSOR", "sensor.example", "sensor.example.:8000", ""),
    ],
)
def test_who_is_here_asks_for_this_machine(host: str):
    assert admitted(NAMED, "127.0.0.1", host=host)
    assert admitted(NAMED, "::1", host=host)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "localhost.evil.example", "[evil]", "a:b:c"])
def test_a_page_whose_name_was_bent_to_loopback_needs_the_token(host: str):
    assert not admitted(NAMED, "127.0.0.1", host=host)
    assert not admitted(NAMED, "::ffff:127.0.0.1", host=host)
    assert not admitted(NAMED, "127.0.0.1", host=host, x_forwarded_for="127.0.0.1"), "a page can send this one"
    assert admitted(NAMED, "127.0.0.1", host=host, authorization="Bearer s3cret")
    assert admitted(NAMED, "10.1.0.9", host=host)
    assert admitted(NAMED, "127.0.0.1", host=host, x_forwarded_for="10.1.0.9"), "a proxy that keeps the Host"
    assert admitted(Admission(None, ["127.0.0.0/8"]), "127.0.0.1", host=host), "trusted by name of its network"


PAGES = Admission("s3cret", ["10.1.0.0/16"], ["sensor"], ["http://localhost:3000"])


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, True),  # a device
        ({"origin": "http://127.0.0.1:8000"}, True),
        ({"origin": "http://127.0.0.1:9999"}, True),  # another page of this machine
        ({"origin": "http://localhost:3000"}, True),
        ({"origin": "https://elsewhere.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "https://elsewhere.example", "authorization": "Bearer s3cret"}, True),
        ({"origin": "https://public.example", "x-forwarded-host": "public.example"}, True),
        ({"origin": "https://public.example", "sec-fetch-site": "same-origin"}, True),
        ({"origin": "https://elsewhere.example", "sec-fetch-site": "cross-site"}, False),
    ],
)
@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3"])
def test_a_page_from_elsewhere_is_not_near_though_its_browser_is(address, headers, expected):
    assert admitted(PAGES, address, own_pages=True, **{"host": "127.0.0.1:8000", **headers}) is expected
    assert admitted(PAGES, address, **{"host": "127.0.0.1:8000", **headers}), "devices' routes: CORS keeps it apart"


def test_pages_of_everybody_can_be_allowed():
    everybody = Admission(None, (), (), ["*"])
    assert admitted(everybody, "127.0.0.1", own_pages=True, host="localhost", origin="https://elsewhere.example")
