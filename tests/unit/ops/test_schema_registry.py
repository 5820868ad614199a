"""A real registry must hold our schemas under our ids, or nothing starts."""

import json

import httpx
import pytest

from ops.errors import OperatorError
from ops.schema_registry import agree
from schemas.catalogue import SCHEMAS


class FakeRegistry:
    """As much of a registry's HTTP API as `agree` uses; ids may only be set in IMPORT mode, as in the real one."""

    def __init__(self, schemas=None):
        self.schemas = dict(schemas or {})
        self.modes = {}

    def __call__(self, request):
        parts = request.url.path.strip("/").split("/")
        if parts[:2] == ["schemas", "ids"]:
            text = self.schemas.get(int(parts[2]))
            return httpx.Response(200, json={"schema": text}) if text else httpx.Response(404, json={})
        body = json.loads(request.content)
        if parts[0] == "mode":
            self.modes[parts[1]] = body["mode"]
            return httpx.Response(200, json=body)
        if self.modes.get(parts[1]) != "IMPORT":
            return httpx.Response(422, json={})
        self.schemas[body["id"]] = body["schema"]
        return httpx.Response(200, json={"id": body["id"]})


def test_an_empty_registry_gets_every_schema_under_its_pinned_id():
    registry = FakeRegistry()
    assert agree("http://registry", httpx.MockTransport(registry)) == len(SCHEMAS)
    assert registry.schemas == {schema.id: schema.text for schema in SCHEMAS.values()}
    assert set(registry.modes.values()) == {"READWRITE"}


def test_a_registry_that_has_them_is_left_alone():
    registry = FakeRegistry({schema.id: json.dumps(json.loads(schema.text), indent=2) for schema in SCHEMAS.values()})
    assert agree("http://registry", httpx.MockTransport(registry)) == 0
    assert registry.modes == {}


def test_another_schema_under_one_of_our_ids_is_refused():
    registry = FakeRegistry({3: json.dumps({"type": "record", "name": "Other", "fields": []})})
    with pytest.raises(OperatorError, match="Other under id 3"):
        agree("http://registry", httpx.MockTransport(registry))
    assert set(registry.schemas) == {3}


def test_a_registry_that_is_away_is_one_sentence():
    def refuse(request):
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(OperatorError, match="does not answer as expected"):
        agree("http://registry", httpx.MockTransport(refuse))
