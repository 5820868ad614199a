"""Read a multipart form as it arrives: small text fields into memory, the one file into a sink. Pure but for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

MOST_PARTS: Final = 64
LONGEST_FIELD: Final = 8_192  # bytes of one text field
LARGEST_FRAME: Final = 128 << 10  # bytes of all that is not the file: fields, headers, boundaries


class BadForm(ValueError):
    """No multipart form can be read; the text says why, in Starlette's words where it has some."""


class Sink(Protocol):
    """Where the bytes of the file go."""

    def restart(self) -> None:
        """A file begins; of several the last one counts."""

    def add(self, data: bytes) -> None:
        """The file goes on."""


@dataclass(slots=True)
class _Part:
    """One part whose headers have been read."""

    name: str
    is_file: bool
    value: bytearray


class FormReader:
    """Takes a body in pieces; what it has found so far is in its attributes.

    `fields`: text by name, the last of equal names. `file_begun`, `file_complete`: whether the part named `file_field`
    with a file name has begun, has ended. Files of other names are passed over. What it keeps is bounded.
    """

    def __init__(self, content_type: bytes, file_field: str, sink: Sink) -> None:
        """Raises `BadForm` where the content type names no boundary."""
        self.fields: dict[str, str] = {}
        self.file_begun = False
        self.file_complete = False
        self._file_field, self._sink = file_field, sink
        self._headers: dict[bytes, bytes] = {}
        self._header_name, self._header_value = bytearray(), bytearray()
        self._part: _Part | None = None
        self._parts = 0
        self._frame_bytes = 0
        self._file_bytes = 0  # of the piece that is being read
        self._parser = self._make_parser(content_type)

    def feed(self, data: bytes) -> None:
        """Read the next piece. Raises `BadForm`."""
        self._file_bytes = 0
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise BadForm("Invalid multipart data.") from error
        self._frame_bytes += len(data) - self._file_bytes
        if self._frame_bytes > LARGEST_FRAME:
            raise BadForm(f"The form has more than {LARGEST_FRAME} bytes beside its file.")

    def _make_parser(self, content_type: bytes) -> MultipartParser:
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise BadForm("Missing boundary in multipart.")
        try:
            return MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_part_data": self._data,
                    "on_part_end": self._end,
                    "on_header_field": self._name,
                    "on_header_value": self._value,
                    "on_header_end": self._header,
                    "on_headers_finished": self._open,
                },
            )
        except FormParserError as error:
            raise BadForm("Invalid multipart data.") from error

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise BadForm(f"Too many fields. Maximum number of fields is {MOST_PARTS}.")
        self._headers = {}

    def _name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header(self) -> None:
        self._headers[bytes(self._header_name).lower()] = bytes(self._header_value)
        self._header_name, self._header_value = bytearray(), bytearray()

    def _open(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        if b"name" not in options:
            raise BadForm('The Content-Disposition header field "name" must be provided.')
        name = options[b"name"].decode("utf-8", "replace")
        self._part = _Part(name, b"filename" in options, bytearray())
        if self._is_the_file(self._part):
            self.file_begun, self.file_complete = True, False
            self._sink.restart()

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        if part is None:
            return
        if self._is_the_file(part):
            self._file_bytes += end - start
            self._sink.add(data[start:end])
        elif not part.is_file:
            part.value += data[start:end]
            if len(part.value) > LONGEST_FIELD:
                raise BadForm(f"Field exceeded maximum size of {LONGEST_FIELD // 1024}KB.")

    def _end(self) -> None:
        part, self._part = self._part, None
        if part is None:
            return
        if self._is_the_file(part):
            self.file_complete = True
        elif not part.is_file:
            self.fields[part.name] = part.value.decode("utf-8", "replace")

    def _is_the_file(self, part: _Part) -> bool:
        return part.is_file and part.name == self._file_field
