"""How many rows of a list are left in each stretch of its numbers, so that any page of a long list is found at once.

For lists whose rows are numbered 0, 1, 2 ... as they are made, in a scope (the items of a store) or at large (scope
""): a projector counts what it inserts and removes, `projections.queries.paging` finds pages by it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from projections.kept_rows import add
from projections.sales_rows import Table
from projections.store import Transaction

BUCKET: Final = 512
"""Numbers that are counted together; at most so many rows are passed over to get to a page."""
COLUMNS: Final = ("list", "scope", "bucket", "live")
"""Of the view that a read model shows its counts by: the name of its table has to be its own."""
_DDL: Final = """
CREATE TABLE {schema}.{name} (
    list   text NOT NULL,
    scope  text NOT NULL,
    bucket bigint NOT NULL,   -- of the rows' numbers: number / 512
    live   int NOT NULL,      -- rows left
    PRIMARY KEY (list, scope, bucket)
) WITH (fillfactor = 50);
"""


def ddl(schema: str, name: str) -> str:
    """SQL of the table of counts."""
    return _DDL.format(schema=schema, name=name)


@dataclass(slots=True)
class PageCounts:
    """What a batch changes about the counts in the table `name`."""

    name: str
    changes: dict[tuple[str, str, int], int] = field(default_factory=dict[tuple[str, str, int], int])
    cleared: set[str] = field(default_factory=set[str])

    def count(self, of: str, scope: str, number: int, more: int = 1) -> None:
        """One row more of that number in list `of`; -1: one less."""
        key = (of, scope, number // BUCKET)
        self.changes[key] = self.changes.get(key, 0) + more

    def clear(self, scope: str) -> None:
        """All lists of the scope are empty from here on."""
        self.changes = {key: more for key, more in self.changes.items() if key[1] != scope}
        self.cleared.add(scope)

    def write(self, transaction: Transaction) -> None:
        """Add the changes up."""
        if self.cleared:
            statement = f"DELETE FROM {self.name} WHERE scope = ANY(%s)"  # noqa: S608 - own name
            transaction.run(statement, sorted(self.cleared))
        add(transaction, _table(self.name), "live", self.changes)


def checksum(name: str) -> str:
    """For `ReadModel.checksums`. A stretch without rows counts for nothing, whether it was ever used or not."""
    return f"{', '.join(COLUMNS)} | {{s}}.{name} WHERE live <> 0"


def _table(name: str) -> Table:
    kinds = {"list": "text", "scope": "text", "bucket": "bigint", "live": "int"}
    return Table(name, kinds, key=("list", "scope", "bucket"))
