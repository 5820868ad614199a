"""What an operator is told: one sentence that says what is wrong and what to do. Printed without a traceback."""

from __future__ import annotations


class OperatorError(Exception):
    """Something the operator can put right; its text is the whole message."""
