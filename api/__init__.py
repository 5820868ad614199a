"""Answers: the query API, live events, the schema registry and the page. Reads through `projections.queries` only."""
