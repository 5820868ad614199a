"""The streaming form reader: any cut of a body reads the same, and nothing it is sent makes it hold much."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.multipart import LARGEST_FRAME, LONGEST_FIELD, BadForm, FormReader

TYPE = b"multipart/form-data; boundary=xx"


class Heap:
    """A sink that keeps all of it."""

    def __init__(self) -> None:
        self.data = bytearray()

    def restart(self) -> None:
        self.data.clear()

    def add(self, data: bytes) -> None:
        self.data += data


def part(name: str, value: bytes, *more: str) -> bytes:
    head = "; ".join([f'Content-Disposition: form-data; name="{name}"', *more])
    return b"--xx\r\n" + head.encode() + b"\r\n\r\n" + value + b"\r\n"


def read(body: bytes, size: int = 1 << 16) -> tuple[FormReader, bytes]:
    heap = Heap()
    reader = FormReader(TYPE, "sound", heap)
    for start in range(0, len(body), size):
        reader.feed(body[start : start + size])
    return reader, bytes(heap.data)


@given(
    sound=st.binary(max_size=200) | st.just(b"\r\n--x\r\n--xx") | st.just(b"\r\n--xx\r\n"[:-1]),
    text=st.text(max_size=30),
    size=st.integers(1, 400),
)
@settings(max_examples=200, deadline=None)
def test_any_cut_reads_the_same(sound: bytes, text: str, size: int):
    if b"\r\n--xx" in sound + b"\r\n":
        sound = sound.replace(b"--xx", b"--xy")
    body = part("codec", text.encode()) + part("sound", sound, 'filename="a"') + b"--xx--\r\n"
    reader, heard = read(body, size)
    assert reader.fields == {"codec": text}
    assert (heard, reader.file_begun, reader.file_complete) == (sound, True, True)


@pytest.mark.parametrize("end", [0, 1, 5, 20])
def test_a_file_that_breaks_off_is_not_complete(end: int):
    body = part("sound", b"x" * 100, 'filename="a"')
    reader, _ = read(body[: len(body) - 2 - end])
    assert (reader.file_begun, reader.file_complete) == (True, False)


def test_a_file_of_another_name_and_a_text_of_the_files_name():
    reader, heard = read(part("other", b"x", 'filename="a"') + part("sound", b"text") + b"--xx--")
    assert (reader.fields, heard, reader.file_begun) == ({"sound": "text"}, b"", False)


def test_text_that_is_no_utf8_is_still_a_text():
    assert read(part("codec", b"\xff\xfe") + b"--xx--")[0].fields == {"codec": "\ufffd\ufffd"}


@pytest.mark.parametrize("content_type", [b"", b"multipart/form-data", b"multipart/form-data; boundary=" + b"x" * 300])
def test_no_boundary(content_type: bytes):
    with pytest.raises(BadForm):
        FormReader(content_type, "sound", Heap())


@pytest.mark.parametrize(
    "body",
    [
        b"--xx\r\n" + b"X: y\r\n" * 100_000,
        b"--xx\r\nX: " + b"y" * 1_000_000,
        b"--xx\r\nContent-Disposition: form-data; name=a\r\n\r\n" + b"y" * (LONGEST_FIELD + 1),
        part("other", b"y" * LARGEST_FRAME, 'filename="a"'),
        part("a", b"") * 65,
        b"--xx--" + b"y" * (LARGEST_FRAME + 1),
        part("", b"").replace(b"; name", b"; nome"),
    ],
)
def test_what_would_make_it_hold_much_is_refused(body: bytes):
    with pytest.raises(BadForm):
        read(body)


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_nonsense_is_refused_or_read_but_never_breaks(body: bytes):
    with contextlib.suppress(BadForm):
        read(b"--xx\r\n" + body, 7)
