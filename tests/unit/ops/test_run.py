"""`run.py`: everything, without sample devices."""

from __future__ import annotations

import sys

import pytest

from ops import cli, run


@pytest.mark.parametrize("more", [[], ["--detach"]])
def test_it_is_up_without_a_demo(monkeypatch: pytest.MonkeyPatch, more: list[str]) -> None:
    heard = list[list[str]]()
    monkeypatch.setattr(sys, "argv", ["run.py", *more])
    monkeypatch.setattr(cli, "main", lambda: heard.append(sys.argv[1:]))
    run.main()
    assert heard == [["up", "--no-demo", *more]]
