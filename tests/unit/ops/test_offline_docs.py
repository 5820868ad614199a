"""The documentation pages fetch nothing from outside."""

import re

from fastapi_offline import FastAPIOffline
from starlette.testclient import TestClient

from ops import offline_docs


def test_redoc_is_served_without_its_outside_logo():
    app = FastAPIOffline()
    offline_docs.complete(app)
    page = TestClient(app).get("/redoc").text
    (address,) = re.findall(r'src="([^"]*redoc[^"]*)"', page)
    script = TestClient(app).get(address).content
    assert len(script) > 100_000
    assert offline_docs.LOGO not in script
