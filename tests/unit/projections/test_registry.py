from __future__ import annotations

from collections import Counter

from projections.registry import READ_MODELS


def test_no_two_read_models_show_a_table_of_the_same_name():
    """Views share one schema: of two that claim a name, whichever is made last would hide the other."""
    names = Counter(name for model in READ_MODELS.values() for name in model.views)
    assert [name for name, claims in names.items() if claims > 1] == []
