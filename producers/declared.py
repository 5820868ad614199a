"""What OpenAPI says of the raw routes, made from the models that decide about their bodies. Pure."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from producers.leniency import FramePost, PersonPointsPost, PointsPost, TotalsPost

_OK = {"type": "object", "properties": {"status": {"type": "string", "const": "ok"}}, "required": ["status"]}
_INSERTED = {
    "type": "object",
    "properties": {
        "ok": {"type": "boolean"},
        "inserted": {"type": ["integer", "null"], "description": "Rows really inserted; null when not known yet."},
        "person_id": {"type": ["integer", "null"], "description": "Only for posts without session_person_id."},
    },
    "required": ["ok", "inserted"],
}
_UPDATED = {
    "type": "object",
    "properties": {"status": {"type": "string", "const": "ok"}, "updated_count": {"type": "integer"}},
    "required": ["status", "updated_count"],
}
_PREFER = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "`respond-async`: 202 as soon as the log has the post, without waiting for its effect (RFC 7240).",
}


def inline_schema(model: type[BaseModel]) -> dict[str, Any]:
    """A model's JSON Schema with its definitions put in place of the references."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def resolve(node: Any) -> Any:
        if isinstance(node, dict):
            if reference := node.get("$ref"):
                return resolve(definitions[reference.rsplit("/", 1)[-1]])
            return {key: resolve(value) for key, value in node.items()}
        return [resolve(item) for item in node] if isinstance(node, list) else node

    return resolve(schema)


def _operation(summary: str, body: dict[str, Any], answer: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": body, "example": example}}},
        "responses": {
            "200": _response("In the log, and as far as known in the read model", answer),
            **_REFUSALS,
        },
    }


def _response(description: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    content = {"content": {"application/json": {"schema": schema}}} if schema else {}
    return {"description": description} | content


_REFUSALS = {
    "400": _response("A value that has the right type but cannot be read"),
    "401": _response("From outside the trusted networks without ADMIN_TOKEN as bearer token"),
    "413": _response("Body or post beyond the limits (RFC 9457 problem)"),
    "422": _response("The body does not fit; `detail` lists what and where; nothing of it is stored"),
    "429": _response("Too many posts of this client under way (RFC 9457 problem, Retry-After)"),
    "503": _response("Kafka has not acknowledged in time; send it again (Retry-After)"),
}


def _with_prefer(operation: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    accepted = {"202": _response("In the log; the effect was not waited for", answer)}
    return operation | {"parameters": [_PREFER], "responses": accepted | operation["responses"]}


_BOX = {"bbox_x1": 100, "bbox_y1": 80, "bbox_x2": 160, "bbox_y2": 160}
_POINT = {"session_person_id": 5, "track_id": 72, "absolute_time": "2025-12-09T17:15:34+03:00"}
_BULK_EXAMPLE = {
    "device_id": "raspberry_pi_001",
    "session_id": "20251209_180102",
    "records": [_POINT | {"valence": 0.12, "arousal": 0.67} | _BOX],
}
_BATCH_EXAMPLE = {
    "device_id": "jetson_1",
    "timestamp": "2025-11-14T12:34:56Z",
    "people": [{"person_id": "1", "cumulative": {"happy": 123.5, "sad": 20.0, "angry": 10.0}}],
}
_FRAME_EXAMPLE = {"device_id": "jetson_1", "frame_b64": "/9j/4AAQSkZJRg==", "fps": 12.5}
_BULK = _with_prefer(
    _operation(
        "Store one post of a face sensor",
        {"anyOf": [inline_schema(PersonPointsPost), inline_schema(PointsPost)]},
        _INSERTED,
        _BULK_EXAMPLE,
    ),
    _INSERTED,
)
_BATCH = _with_prefer(
    _operation("Replace a device's emotion times", inline_schema(TotalsPost), _UPDATED, _BATCH_EXAMPLE), _UPDATED
)
_FRAME = _operation("Show a device's newest frame", inline_schema(FramePost), _OK, _FRAME_EXAMPLE)

OPENAPI_PATHS: dict[str, dict[str, Any]] = {
    "/v1/logs/bulk": {"post": _BULK},
    "/api/v1/logs/bulk": {"post": _BULK},
    "/api/emotions/batch": {"post": _BATCH},
    "/api/stream/frame": {"post": _FRAME},
}
"""The raw routes as OpenAPI path items; `producers.routes.router` already declares them to FastAPI."""
