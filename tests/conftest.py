"""What every test shares: imports from the checkout, and what each folder of tests cost."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

seconds: defaultdict[str, float] = defaultdict(float)
counts: defaultdict[str, int] = defaultdict(int)


def folder(nodeid: str) -> str:
    """The kind of a test: its folder's name under tests/."""
    parts = nodeid.split("/")
    return parts[1] if len(parts) > 2 and parts[0] == "tests" else "tests"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    seconds[folder(report.nodeid)] += report.duration
    counts[folder(report.nodeid)] += report.when == "call"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("cost by folder")
    for line in cost_lines(seconds, counts):
        terminalreporter.write_line(line)


def cost_lines(spent: Mapping[str, float], number: Mapping[str, int]) -> list[str]:
    """One line per folder, the dearest first."""
    names = sorted(spent, key=lambda name: spent[name], reverse=True)
    return [f"{name:12} {number[name]:5d} tests {spent[name]:8.1f} s" for name in names]
