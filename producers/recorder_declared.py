"""What OpenAPI says of the recorders' routes, made from the models that decide about them. Pure."""

from __future__ import annotations

from typing import Any, Final

from producers.declared import inline_schema
from producers.recorder_forms import FILE, ChunkForm, Drops, Silence


def _response(description: str, properties: dict[str, Any] | None = None) -> dict[str, Any]:
    if properties is None:
        return {"description": description}
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _operation(summary: str, content: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    body = {"required": True, "content": content}
    responses = {"200": _response("Stored and in the log", answer), **_REFUSALS}
    return {"summary": summary, "requestBody": body, "responses": responses}


def _chunk_schema() -> dict[str, Any]:
    schema = inline_schema(ChunkForm)
    schema["properties"][FILE] = {"type": "string", "format": "binary", "description": "Ogg/Opus; not looked at here."}
    schema["required"] = [*schema["required"], FILE]
    return schema


def _upload(summary: str, **responses: str) -> dict[str, Any]:
    said = {status.removeprefix("s"): _response(text) for status, text in responses.items()}
    return {"summary": summary, "responses": said}


_OK: Final = {"status": {"type": "string", "const": "ok"}}
_CLAIM: Final = _OK | {"chunk_id": {"type": "string"}, "stored_path": {"type": "string"}, "queued": {"const": True}}
_REFUSALS: Final = {
    "401": _response("No token, or none of an enabled device"),
    "408": _response("Too slow"),
    "409": _response("Another chunk has this boot_id and sequence"),
    "413": _response("File exceeds maximum size"),
    "422": _response("A field is missing or wrong, or does not fit the registration"),
    "429": _response("Too many uploads of this device are under way"),
    "500": _response("The disk fails"),
    "503": _response("Too many uploads, or Kafka has not acknowledged in time; send it again (Retry-After)"),
    "507": _response("The disk is full; send it again (Retry-After)"),
}
CHUNK: Final = _operation("Store one chunk of sound", {"multipart/form-data": {"schema": _chunk_schema()}}, _CLAIM)
SILENCE: Final = _operation(
    "Report a stretch without speech", {"application/json": {"schema": inline_schema(Silence)}}, _OK
)
DROPS: Final = _operation(
    "Report recordings that were deleted unsent", {"application/json": {"schema": inline_schema(Drops)}}, _OK
)
_ID: Final = {"parameters": [{"name": "upload_id", "in": "path", "required": True, "schema": {"type": "string"}}]}
UPLOAD: Final = {
    "OPTIONS": _upload("What resumable uploads can do (tus 1.0.0)", s204="Versions, extensions, largest size"),
    "POST": _upload("Begin a resumable upload", s201="Location and Upload-Expires", s422="The fields do not fit"),
    "HEAD": _ID | _upload("How much has arrived", s200="Upload-Offset, Upload-Length; Chunk-Id when done"),
    "PATCH": _ID | _upload("Send more bytes", s204="Upload-Offset; Chunk-Id with the last byte", s409="Other offset"),
    "DELETE": _ID | _upload("Give an upload up", s204="Gone"),
}
