"""Sales audio on a real log: in whatever order its topics are read, the tables are the same; the seed's SQL works."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest

from producers.publisher import Message
from projections import migrations
from projections.projection import starts_of
from projections.projectors.sales_dialogues import SalesDialogues
from projections.read_model import Event, Target
from projections.store import Store
from projections.store_models import Models
from schemas import cloudevents, examples, serde
from schemas.record import Record
from tests.drivers import sales
from tests.drivers.projecting import Site, site
from tests.drivers.sales import NOON, Saying, made_id
from tests.drivers.waiting import eventually
from tests.unit.projections.test_sales_dialogues import STORY, laid_out

AUDIO, MODEL = "sales_audio", "sales_dialogues"


@pytest.fixture
def there(kafka_bootstrap: str, database_url: str) -> Iterator[Site]:
    with site(kafka_bootstrap, database_url, AUDIO, MODEL) as made:
        yield made


def append(made: Site, sayings: Sequence[Saying], **headers: bytes) -> None:
    """One after the other, each where its key belongs: the log's times and partitions are those of real writers."""
    for number, (event, body) in enumerate(sayings):
        key = body.get("dialogue_id") if sales.topic_of(event) != "speech.dialogues" else body["device_id"]
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        every = cloudevents.headers(event, id=made_id(number), source="/tests")
        value = serde.encode(event, body)
        message = Message(made.prefix + sales.topic_of(event), str(key).encode(), value, every + named)
        made.publisher.publish_all([message], 30)


def test_dialogues_are_shown_as_the_original_tables_showed_them(there: Site) -> None:
    append(there, STORY)
    with there.projector(ring=sales.RING):
        there.caught_up(MODEL)
    rows = there.sql("SELECT dialogue_id, asr_status, asr_pass FROM dialogues WHERE asr_status = 'DONE'")
    assert [(str(row[0]), *row[1:]) for row in rows] == [(made_id("a"), "DONE", "fast")]
    assert there.sql("SELECT dt.text FROM dialogue_transcripts dt LIMIT 5") == [("Раз, два, три.",)]
    assert there.sql("SELECT analysis_status, review_status FROM dialogues") == [("DONE", "FLAGGED")]
    assert there.sql("SELECT quality_score, evidence_quotes FROM dialogue_upsell_analysis") == [(3, [sales.OFFER])]
    old = there.sql("SELECT quality_score, analysis_prompt_version, archived_at FROM dialogue_upsell_analysis_history"
                    " ORDER BY archived_at")  # fmt: skip
    assert [row[:2] for row in old] == [(2, "v1"), (2, "v1")]
    assert there.one("SELECT count(*) FROM dialogue_segments") == 1
    assert there.one("SELECT count(*) FROM dialogue_reviews WHERE notes = 'плохо слышно'") == 2
    found = "SELECT count(*) FROM spoken_texts WHERE search @@ websearch_to_tsquery('russian', %s)"
    assert there.one(found, "десерты") == 1
    assert there.one(found, "cheesecakes") == 1


def test_no_order_between_topics_and_no_double_changes_a_checksum(there: Site) -> None:
    migrations.up(there.database_url)
    with Models(there.database_url) as models:
        model = there.models[MODEL]
        starts = starts_of(model, there.reader)
        sums = []
        for number in range(3):
            version = models.create(model, starts, state="as_of", as_of=(f"n{number}", 0))
            write_shuffled(there, version.schema, random.Random(number))
            sums.append(there.checksum(version.schema, MODEL))
    assert sums[0]["dialogue_heads"]["rows"] == 2
    assert all(table["rows"] for table in sums[0].values())
    assert sums[0] == sums[1] == sums[2]


def write_shuffled(made: Site, schema: str, chance: random.Random) -> None:
    """Feed the projector itself: topics interleaved at random, in batches of any size, some events once more."""
    lanes: dict[str, list[tuple[Record, str, sales.Body]]] = {}
    for said in laid_out(STORY):
        lanes.setdefault(said[0].topic, []).append(said)
    order = [topic for topic, lane in lanes.items() for _ in lane]
    chance.shuffle(order)
    merged: list[Event] = []
    for topic in order:
        merged.append(Event(*lanes[topic].pop(0)))
        again = chance.choice(merged)
        if chance.random() < 0.3:
            merged.append(Event(Record(again.record.topic, 0, 9999, NOON // 1000, None, None), again.name, again.body))
    projector = SalesDialogues(Target(schema, keyring=sales.RING))
    with closing(Store(made.database_url, schema)) as store:
        while merged:
            size = chance.randint(1, 9)
            with store.batch(store.checkpoints(), "as_of") as transaction:
                projector.write(transaction, projector.prepare(merged[:size]))
            del merged[:size]


def test_a_version_written_again_from_the_log_is_equal(there: Site) -> None:
    append(there, STORY)
    with there.projector(ring=sales.RING):
        there.caught_up(MODEL)
    live = there.live(MODEL)
    with Models(there.database_url) as models:
        version = models.create(there.models[MODEL], starts_of(there.models[MODEL], there.reader), state="standby")
    with there.projector(ring=sales.RING):
        there.caught_up(MODEL, schema=version.schema)
    assert there.checksum(version.schema, MODEL) == there.checksum(live, MODEL)


def test_a_newer_revision_is_pending_while_the_older_ones_words_stay(there: Site) -> None:
    append(there, [sales.dialogue("a"), sales.transcript("a"), sales.analysed("a"), sales.corrected("a", "c", "Было.")])
    with there.projector(ring=sales.RING):
        there.caught_up(MODEL)
        assert there.sql("SELECT text FROM dialogue_transcripts") == [("Было.",)]
        append(there, [sales.dialogue("a", 2)])
        there.caught_up(MODEL)
        assert there.sql("SELECT asr_status, analysis_status FROM dialogues") == [("PENDING", "PENDING")]
        assert there.sql("SELECT text FROM dialogue_transcripts") == [("Было.",)]
        assert there.one("SELECT count(*) FROM dialogue_upsell_analysis") == 1
        append(there, [sales.started("a", 2)])
        there.caught_up(MODEL)
        assert there.sql("SELECT asr_status FROM dialogues") == [("PROCESSING",)]
        append(there, [sales.transcript("a", 2, "Стало больше слов.")])
        there.caught_up(MODEL)
        assert there.sql("SELECT asr_status, analysis_status FROM dialogues") == [("DONE", "PENDING")]
        assert there.sql("SELECT text, heard_text FROM dialogue_transcripts") == [("Стало больше слов.",) * 2]
        assert there.one("SELECT revision FROM dialogue_upsell_analysis") == 1
        append(there, [sales.analysed("a", 2, quality_score=0)])
        there.caught_up(MODEL)
    assert there.sql("SELECT revision, quality_score FROM dialogue_upsell_analysis") == [(2, 0)]
    assert there.sql("SELECT revision FROM dialogue_upsell_analysis_history") == [(1,)]


def test_a_rerun_archives_the_verdict_and_keeps_reviews(there: Site) -> None:
    append(there, [sales.dialogue("a"), sales.transcript("a"), sales.analysed("a"), sales.reviewed("a", "r")])
    request = made_id("again")
    append(there, [sales.requested("a", request)])
    with there.projector(ring=sales.RING):
        there.caught_up(MODEL)
        assert there.sql("SELECT analysis_status, review_status FROM dialogues") == [("PENDING", "FLAGGED")]
        assert there.one("SELECT count(*) FROM dialogue_upsell_analysis") == 0
        assert there.sql("SELECT analysis_model FROM dialogue_upsell_analysis_history") == [("base",)]
        append(there, [sales.analysis_failed("a", 1, request)])
        there.caught_up(MODEL)
        assert there.sql("SELECT analysis_status, analysis_error_message FROM dialogues") == [("ERROR", "nonsense")]
        append(there, [sales.analysed("a", 1, request, model="other")])
        there.caught_up(MODEL)
    assert there.sql("SELECT analysis_status, analysis_model FROM dialogues") == [("DONE", "other")]
    assert there.one("SELECT count(*) FROM analysis_costs") == 3


def test_an_altered_envelope_is_a_dead_letter_and_the_rest_goes_on(there: Site) -> None:
    event, body = sales.transcript("a")
    body["words"] = body["words"] | {"subject": "another"}
    append(there, [sales.dialogue("a"), (event, body), sales.transcript("a", 1, "right")])
    with there.projector(ring=sales.RING):
        there.caught_up(MODEL)
    assert there.sql("SELECT text FROM dialogue_transcripts") == [("right",)]


def test_chunks_with_their_speech_and_a_reply_for_who_waits(there: Site) -> None:
    start = there.reader.end_offsets("replies")
    chunk, found = examples.load("AudioChunkUploaded"), examples.load("SpeechSegmentsDetected")
    found |= {"segment_start_ms": [1200, 9000], "segment_end_ms": [4800, 9900], "outcome": "DONE", "error": None}
    append(there, [("AudioChunkUploaded", chunk), ("AudioChunkUploaded", chunk)], correlation_id=b"c", reply_to=b"me")
    with there.projector(ring=sales.RING):
        there.caught_up(AUDIO)
        assert there.sql("SELECT status, duration_sec FROM audio_chunks") == [("QUEUED", 60)]
        append(there, [("SpeechSegmentsDetected", found), ("SilenceReported", examples.load("SilenceReported"))] * 2)
        there.caught_up(AUDIO)
        eventually(lambda: [r for r in there.records("replies", start) if r.header("correlation-id") == b"c"])
    assert there.sql("SELECT status, file_path, sha256 FROM audio_chunks") == [
        ("DONE", chunk["stored_path"], chunk["sha256"])
    ]
    assert there.sql("SELECT start_ms, end_ms FROM speech_segments ORDER BY 1") == [(1200, 4800), (9000, 9900)]
    assert there.one("SELECT count(*) FROM reported_silences") == 1
