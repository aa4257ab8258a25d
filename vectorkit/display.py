"""Facts of an object as one line of text and as a small HTML table.

A class states its facts once, as names with values; its `__repr__` and its `_repr_html_` are made
from them. The HTML is escaped, and has no styles, scripts or identifiers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from html import escape
from typing import Any, Final

from vectorkit.records import non_default_fields

ROWS_MAX: Final = 20
_LETTERS_MAX: Final = 200


def facts_table(facts: Mapping[str, object] | Iterable[tuple[str, object]]) -> str:
    """Return an HTML table with one row per fact: its name and its value.

    >>> facts_table({"rows": 3, "metric": "dot"})
    '<table><tr><th>rows</th><td>3</td></tr><tr><th>metric</th><td>dot</td></tr></table>'
    """
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{_cell(value)}</td></tr>"
        for name, value in dict(facts).items()
    )
    return f"<table>{rows}</table>"


def rows_table(
    names: Sequence[str], rows: Sequence[Sequence[object]], *, rows_max: int | None = ROWS_MAX
) -> str:
    """Return an HTML table with a head; after `rows_max` rows it says how many are left out.

    >>> rows_table(["id"], [["a"], ["b"]], rows_max=1).partition("<tbody>")[2]
    '<tr><td>a</td></tr><tr><td colspan="1">… 1 more</td></tr></tbody></table>'
    """
    shown = rows if rows_max is None else rows[:rows_max]
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>" for row in shown
    )
    more = len(rows) - len(shown)
    tail = f'<tr><td colspan="{len(names)}">… {more:,} more</td></tr>' if more else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}{tail}</tbody></table>"


def record_table(record: Any) -> str:
    """Return an HTML table with the type of a dataclass instance or named tuple and its fields."""
    names = getattr(record, "_fields", None) or [each.name for each in fields(record)]
    return _typed_table(record, {name: getattr(record, name) for name in names})


def options_table(record: Any) -> str:
    """Return an HTML table with the type of a record and the fields that differ from defaults."""
    return _typed_table(record, non_default_fields(record) or {"": "all as by default"})


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural where needed.

    >>> counted(1, "node"), counted(1_200, "node")
    ('1 node', '1,200 nodes')
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"


def paragraph(text: str) -> str:
    """Return a text as an HTML paragraph."""
    return f"<p>{escape(text)}</p>"


def preformatted(text: str) -> str:
    """Return a text of several lines as HTML that keeps its line breaks."""
    return f"<pre>{escape(text)}</pre>"


def _typed_table(record: Any, facts: Mapping[str, object]) -> str:
    return facts_table([("type", type(record).__name__), *facts.items()])


def _cell(value: object) -> str:
    text = str(value)
    return escape(text if len(text) <= _LETTERS_MAX else f"{text[:_LETTERS_MAX]}…")
