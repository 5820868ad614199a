"""What people say, through the real log: who got the answer finds it in the next read, and a replay says the same."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from api import app
from producers.commands import Writer
from producers.publisher import Publisher
from producers.replies import ReplyReader
from projections.projection import starts_of
from projections.store_models import Models
from schemas.catalogue import latest
from tests.drivers import sales, sales_site
from tests.drivers.projecting import Site, site
from tests.drivers.sales import made_id
from tests.drivers.sales_site import HEADERS
from tests.drivers.waiting import until
from tests.integration.api.test_devices_and_users import is_ready
from tests.integration.projections.test_sales import append

MODEL = "sales_dialogues"


@pytest.fixture
def there(kafka_bootstrap: str, database_url: str) -> Iterator[Site]:
    with site(kafka_bootstrap, database_url, MODEL) as made:
        yield made


@pytest.fixture
async def client(there: Site) -> AsyncIterator[httpx.AsyncClient]:
    replies = ReplyReader(there.bootstrap, uuid.uuid4().hex)
    with contextlib.closing(Publisher(there.bootstrap, client_id="front", linger_ms=0)) as publisher:
        writer = Writer(publisher, replies, model_wait_s=20, topic_of=lambda event: there.prefix + latest(event).topic)
        wired = sales_site.api(there.database_url, writer)
        await replies.start()
        await until(is_ready(replies))
        transport = httpx.ASGITransport(app.build(wired))
        session = httpx.AsyncClient(transport=transport, base_url="http://s", headers=HEADERS, timeout=60)
        async with wired.running(), session:
            yield session
        await replies.stop()


async def test_who_got_the_answer_finds_it_in_the_next_read(there: Site, client: httpx.AsyncClient) -> None:
    append(there, [sales.dialogue("a"), sales.transcript("a"), sales.analysed("a")])
    path = f"/v1/sales/dialogues/{made_id('a')}"
    with there.projector(ring=sales.RING):
        there.caught_up(MODEL)
        review = await client.post(f"/api/v1/reviews/{made_id('a')}", json={"reason": "bad_asr", "notes": "шум"})
        assert review.status_code == 200
        assert (await client.get("/api/v1/reviews")).json()["reviews"][0]["review_id"] == review.json()["review_id"]
        await client.patch(f"/api/v1/reviews/{review.json()['review_id']}")
        assert (await client.get(path)).json()["review_status"] == "RESOLVED"
        made = (await client.post(f"{path}/transcript", json={"text": "Иначе."})).json()
        assert made["visible"] is True
        one = (await client.get(path)).json()
        assert (one["transcript"]["text"], one["transcript"]["heard_text"]) == ("Иначе.", sales.TEXT)
        rerun = await client.post(f"/api/v1/analysis/rerun/{made_id('a')}")
        assert rerun.json()["previous_analysis_archived"] is True
        one = (await client.get(path)).json()
        assert (one["analysis_status"], one["analysis"], one["versions"][0]["current"]) == ("PENDING", None, False)
    with Models(there.database_url) as models:
        again = models.create(there.models[MODEL], starts_of(there.models[MODEL], there.reader), state="standby")
    with there.projector(ring=sales.RING):
        there.caught_up(MODEL, schema=again.schema)
    assert there.checksum(again.schema, MODEL) == there.checksum(there.live(MODEL), MODEL)
