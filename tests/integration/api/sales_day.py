"""A day at the counter, for the tests of both generations of routes."""

from __future__ import annotations

from tests.drivers import sales
from tests.drivers.sales import NOON, Saying

HOUR = 3_600_000_000
OTHER_POINT = "0f9d3c1e-0000-4000-8000-0000000000aa"
NAMES = ("yes", "no", "uncertain", "late", "skipped", "error", "untranscribed", "open", "elsewhere")
"""Dialogues of the day, an hour apart; `elsewhere` is the next UTC day."""


def day() -> list[Saying]:
    """Three analysed ones before noon, one late in the evening, and all that can go wrong."""
    told: list[Saying] = []
    verdicts = {
        "yes": {"quality_score": 3, "categories": ["dessert", "syrup", "dessert"]},
        "no": {"attempted": "no", "quality_score": 0, "customer_reaction": "unclear", "categories": []},
        "uncertain": {"attempted": "uncertain", "quality_score": 1, "customer_reaction": "rejected",
                      "categories": ["dessert"]},
        "late": {"quality_score": 2, "customer_reaction": "accepted", "categories": ["combo"]},
        "elsewhere": {"quality_score": 2, "categories": ["takeaway"]},
    }  # fmt: skip
    starts = {name: NOON - 3 * HOUR + n * HOUR for n, name in enumerate(NAMES)}
    starts |= {"no": starts["yes"] + 60_000_000, "late": NOON + 12 * HOUR - 1, "elsewhere": NOON + 12 * HOUR}
    for name, start in starts.items():
        place = {"point_id": OTHER_POINT} if name == "late" else {}
        status = "OPEN" if name == "open" else "CLOSED"
        told.append(sales.dialogue(name, start_us=start, status=status, **place))
        if name == "untranscribed":
            told.append(sales.failed(name))
        elif name != "open":
            text = "Large кофе с сиропом!" if name == "late" else sales.TEXT
            told.append(sales.transcript(name, text=text, start_us=start))
        if name in verdicts:
            quotes = [] if name == "late" else [sales.quote()]
            told.append(sales.analysed(name, **verdicts[name], quotes=quotes, cost_micros=10))
    return [*told, sales.skipped("skipped"), sales.analysis_failed("error", cost_micros=7)]
