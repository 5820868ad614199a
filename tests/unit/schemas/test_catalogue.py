"""The house rules of schemas and topics: no orphan, no bomb, no incompatible version, no id used twice."""

import json
from importlib import resources

import pytest
import yaml
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import parse as parse_avro

from schemas.catalogue import SCHEMAS, latest
from schemas.topics import TOPICS, parse

FOLDER = resources.files("schemas")
LABELS = [f"{schema.name}.v{schema.version}" for schema in SCHEMAS.values()]


def files(folder: str, ending: str) -> set[str]:
    return {file.name.removesuffix(ending) for file in (FOLDER / folder).iterdir() if file.name.endswith(ending)}


def test_every_schema_file_has_a_pinned_id_and_an_example():
    assert files("avro", ".avsc") == set(LABELS) == files("examples", ".json")


def test_every_event_belongs_to_exactly_one_topic():
    """But for the one that every decider ends its answers with."""
    owned = [event for topic in TOPICS.values() for event in topic.events if event != "CommandSettled"]
    assert sorted(owned) == sorted({schema.name for schema in SCHEMAS.values()} - {"CommandSettled"})


def test_every_topic_has_a_writer_and_a_reader_that_exist():
    for topic in TOPICS.values():
        assert topic.events, topic.name
        assert topic.writers, topic.name
        assert topic.readers, topic.name
        for owner in (*topic.writers, *topic.readers):
            room, part = owner.split(".")
            places = [resources.files(room) / sub for sub in (".", "projectors", "processors")]
            found = any((place / f"{part}.py").is_file() or (place / part).is_dir() for place in places)
            assert found, f"{topic.name}: {owner} does not exist"


def test_ids_never_change():
    """Messages written long ago carry these numbers; add new ones, never edit."""
    pinned = yaml.safe_load((FOLDER / "avro" / "ids.yaml").read_text("utf-8"))
    assert list(pinned.items())[:9] == [
        ("EmotionPointsRecorded.v1", 1),
        ("EmotionLogsTruncated.v1", 2),
        ("EmotionTotalsReported.v1", 3),
        ("PeopleTotals.v1", 4),
        ("EmotionMomentDetected.v1", 5),
        ("Reply.v1", 6),
        ("DeadLettered.v1", 7),
        ("DeadLetterSettled.v1", 8),
        ("ProcessorSnapshot.v1", 9),
    ]
    assert len(set(pinned.values())) == len(pinned)


def test_versions_are_fully_compatible_with_each_other():
    checker = ReaderWriterCompatibilityChecker()
    for reader in SCHEMAS.values():
        for writer in SCHEMAS.values():
            if reader.name == writer.name:
                verdict = checker.get_compatibility(parse_avro(reader.text), parse_avro(writer.text))
                assert verdict.compatibility is SchemaCompatibilityType.compatible, verdict.messages


def test_the_compatibility_check_can_fail():
    old = json.loads(latest("Reply").text)
    new = old | {"fields": [*old["fields"], {"name": "required_now", "type": "string"}]}
    verdict = ReaderWriterCompatibilityChecker().get_compatibility(
        parse_avro(json.dumps(new)), parse_avro(json.dumps(old))
    )
    assert verdict.compatibility is SchemaCompatibilityType.incompatible


def widths(schema, seen):
    """Yield every array item and map value type; fail on recursion."""
    if isinstance(schema, list):
        for branch in schema:
            yield from widths(branch, seen)
    elif isinstance(schema, dict):
        kind = schema["type"]
        if kind == "record":
            assert schema["name"] not in seen, f"{schema['name']} is recursive"
            for field in schema["fields"]:
                yield from widths(field["type"], seen | {schema["name"]})
        elif kind in ("array", "map"):
            items = schema.get("items", schema.get("values"))
            yield items
            yield from widths(items, seen)
        elif not isinstance(kind, str):
            yield from widths(kind, seen)
    elif isinstance(schema, str):
        assert schema not in seen, f"{schema} is recursive"


def is_zero_width(schema) -> bool:
    if isinstance(schema, dict) and schema["type"] == "record":
        return all(is_zero_width(field["type"]) for field in schema["fields"])
    return schema == "null" or (isinstance(schema, dict) and schema.get("type") == "fixed" and schema["size"] == 0)


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=LABELS)
def test_no_schema_is_recursive_or_repeats_items_of_no_width(schema):
    for items in widths(json.loads(schema.text), frozenset()):
        assert not is_zero_width(items)


def test_dead_letters_may_be_larger_than_anything_else():
    largest = max(
        topic.max_message_bytes for topic in TOPICS.values() if topic.name not in ("dead.letters", "streams.snapshots")
    )
    assert TOPICS["dead.letters"].max_message_bytes >= 2 * largest


def test_truth_is_kept_for_ever():
    for name in ("emotion.points", "emotion.totals", "emotion.moments", "dead.letters"):
        assert TOPICS[name].configs()["retention.ms"] == "-1"


@pytest.mark.parametrize("text", ["description: x", "colour: blue"])
def test_a_topic_file_with_missing_or_misspelt_keys_is_refused(text):
    with pytest.raises(ValueError, match="wrong or missing keys"):
        parse("t", text)


def test_personal_fields_are_marked():
    points = json.loads(latest("EmotionPointsRecorded").text)
    marked = {field["name"] for field in points["fields"] if field.get("personal")}
    assert marked == {"valence", "arousal", "bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"}


def test_what_is_kept_for_a_day_is_written_in_segments_of_an_hour():
    """A segment that is being written is not deleted, whatever its age."""
    assert TOPICS["faces.commands"].configs()["segment.ms"] == "3600000"
    assert "segment.ms" not in TOPICS["railway.events"].configs()
