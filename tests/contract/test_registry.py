"""Confluent's own client reads our events through /registry; the REST shapes are the Schema Registry's."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext
from fastapi import FastAPI

from api.routes import registry
from schemas import serde
from schemas.catalogue import SCHEMAS, latest
from schemas.examples import load
from tests.drivers.serving import served

POINTS = "emotion.points-sensorium.EmotionPointsRecorded"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    app = FastAPI()
    app.include_router(registry.build())
    with served(app) as base:
        yield base + "/registry"


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": address}) as registry_client:
        yield registry_client


@pytest.mark.parametrize("event", sorted({schema.name for schema in SCHEMAS.values()}))
def test_confluents_deserializer_reads_every_event(client: SchemaRegistryClient, event: str) -> None:
    example = load(event)
    value = serde.encode(event, example)
    context = SerializationContext(latest(event).topic, MessageField.VALUE)
    assert AvroDeserializer(client)(value, context) == serde.decode(value)[1]


def test_confluents_client_finds_its_way(client: SchemaRegistryClient) -> None:
    assert POINTS in client.get_subjects()
    assert client.get_versions(POINTS) == [1]
    newest = client.get_latest_version(POINTS)
    assert (newest.version, newest.schema_id) == (1, latest("EmotionPointsRecorded").id)
    found = client.lookup_schema(POINTS, Schema(newest.schema.schema_str, "AVRO"))
    assert found.schema_id == newest.schema_id
    assert client.register_schema(POINTS, Schema(newest.schema.schema_str, "AVRO")) == newest.schema_id
    assert client.get_compatibility() == "FULL_TRANSITIVE"


def test_confluents_client_can_register_nothing(client: SchemaRegistryClient) -> None:
    with pytest.raises(SchemaRegistryError) as refusal:
        client.register_schema(POINTS, Schema('{"type":"string"}', "AVRO"))
    assert refusal.value.error_code == 42205


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/schemas/ids/99999", 404, 40403),
        ("/subjects/nobody/versions", 404, 40401),
        ("/subjects/nobody/versions/1", 404, 40401),
        (f"/subjects/{POINTS}/versions/99", 404, 40402),
        (f"/subjects/{POINTS}/versions/newest", 422, 42202),
    ],
)
def test_errors_have_the_registrys_shape(address: str, path: str, status: int, code: int) -> None:
    answer = httpx.get(address + path)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert isinstance(answer.json()["message"], str)
    assert answer.headers["content-type"] == "application/vnd.schemaregistry.v1+json"


def test_plain_answers(address: str) -> None:
    assert httpx.get(address + "/schemas/types").json() == ["AVRO"]
    assert httpx.get(address + "/config").json() == {"compatibilityLevel": "FULL_TRANSITIVE"}
    assert httpx.get(address + "/mode").json() == {"mode": "READONLY"}
    one = httpx.get(f"{address}/subjects/{POINTS}/versions/latest").json()
    assert set(one) == {"subject", "version", "id", "schema"}
    assert httpx.post(f"{address}/subjects/{POINTS}", json={"schema": '"int"'}).json()["error_code"] == 40403
