"""Objects as small HTML tables: the facts of their one-line repr, escaped, without script."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from html import escape
from typing import TYPE_CHECKING, Any, Final

from vectorkit.cache import QueryCache
from vectorkit.collections import BatchMatches, Matches, Memory, Reader
from vectorkit.datasets import Dataset
from vectorkit.records import non_default_fields
from vectorkit.sim.checks.findings import VERDICT_WORDS

if TYPE_CHECKING:
    from vectorkit.sim import Cluster, Explanation, Findings, Run, Shrunk

_ROWS_MAX: Final = 20
_LETTERS_MAX: Final = 200


def matches(found: Matches) -> str:
    """Rank, id and score of each match."""
    rows = [(rank, row_id, f"{score:.4f}") for rank, (row_id, score) in enumerate(found, start=1)]
    return _table(("rank", "id", "score"), rows)


def batch_matches(found: BatchMatches) -> str:
    """The best match of each query."""
    rows = [
        (number, *next(((row_id, f"{score:.4f}") for row_id, score in each), ("", "")), len(each))
        for number, each in enumerate(found)
    ]
    return _table(("query", "best id", "score", "matches"), rows)


def collection(reader: Reader) -> str:
    """Size, metric and version."""
    facts = [
        ("kind", type(reader).__name__),
        ("name", reader.name or "—"),
        ("rows", f"{len(reader):,}"),
        ("dim", reader.dim),
        ("metric", reader.metric),
        ("version", reader.version),
    ]
    return facts_table(facts)


def memory(held: Memory) -> str:
    """Bytes by what they hold."""
    parts = [(name, f"{count:,} bytes") for name, count in {**held.device, **held.host}.items()]
    return facts_table(
        [("rows", f"{held.row_count:,}"), *parts, ("total", f"{held.total_bytes:,} bytes")]
    )


def query_cache(cache: QueryCache) -> str:
    """What the cache holds, and its counters."""
    counted = cache.stats()._asdict()
    size = f"{counted.pop('size'):,} of {cache.capacity:,}"
    return facts_table(
        [("answers", size), *((name, f"{count:,}") for name, count in counted.items())]
    )


def collections(held: Iterable[Reader]) -> str:
    """The collections of a store, a row each."""
    rows = [
        (each.name, type(each).__name__, f"{len(each):,}", each.dim, each.metric, each.version)
        for each in held
    ]
    return _table(("name", "kind", "rows", "dim", "metric", "version"), rows)


def dataset(data: Dataset) -> str:
    """Name, size and the first ids."""
    first = ", ".join(data.ids[:3]) + (", …" if len(data) > 3 else "")
    facts = [("name", data.name), ("rows", f"{len(data):,}"), ("dim", data.dim), ("ids", first)]
    return facts_table(facts)


def record(value: Any) -> str:
    """A result: its type, and every field."""
    names = getattr(value, "_fields", None) or [each.name for each in fields(value)]
    return _record(value, {name: getattr(value, name) for name in names})


def options(value: Any) -> str:
    """Options: their type, and those that differ from their defaults."""
    return _record(value, non_default_fields(value) or {"": "all as by default"})


def _record(value: Any, told: Mapping[str, Any]) -> str:
    return facts_table([("type", type(value).__name__), *told.items()])


def explanation(told: Explanation) -> str:
    """What became of a write, and each step with its time."""
    rows = [(f"{s.time_ms:,.3f}", s.stage, s.node, s.detail) for s in told.steps]
    steps = _table(("time (ms)", "stage", "node", "detail"), rows)
    return f"<p>{escape(told.headline)}</p>{steps}"


def cluster(stepped: Cluster) -> str:
    """Master, time and seed, and how many nodes there are."""
    facts = [
        ("nodes", len(stepped.options.node_ids)),
        ("master", stepped.master or "—"),
        ("virtual time", f"{stepped.now_ms:,.0f} ms"),
        ("seed", stepped.seed),
    ]
    return facts_table(facts)


def run(finished: Run) -> str:
    """Length, events, seed, verdict and the start of the trace hash."""
    facts = [
        ("nodes", len(finished.stats)),
        ("virtual time", f"{finished.duration_ms:,.0f} ms"),
        ("events", f"{finished.event_count:,}"),
        ("seed", finished.seed),
        ("converged", "yes" if finished.is_converged else "no"),
        ("trace hash", f"{finished.trace_hash[:12]}…"),
    ]
    return facts_table(facts)


def findings(found: Findings) -> str:
    """Each check with its verdict and the first line of its evidence, violated ones first."""
    order = ("broken", "seen_not_promised", "held", "not_exercised")
    rows = [
        (
            each.name.replace("_", " "),
            VERDICT_WORDS[each.verdict],
            "yes" if each.is_promised else "no",
            f"{each.observed_count:,}",
            each.evidence[0] if each.evidence else "",
        )
        for each in sorted(found, key=lambda each: order.index(each.verdict))
    ]
    return _table(
        ("check", "verdict", "promised", "violations", "evidence"), rows, rows_max=len(rows)
    )


def shrunk(found: Shrunk) -> str:
    """Its sizes, the evidence, and the scenario as text."""
    facts = [
        ("check", found.check.replace("_", " ")),
        ("faults", found.fault_count),
        ("nodes", found.node_count),
        ("clients", found.client_count),
        ("operations", found.operation_count),
        ("virtual time", f"{found.duration_ms:,.0f} ms"),
        ("runs", f"{found.runs:,}"),
        ("minimal", "yes" if found.is_minimal else "not yet"),
    ]
    if found.finding is not None:
        facts.append(("evidence", found.finding.evidence[0]))
    return f"{facts_table(facts)}<pre>{escape(found.to_json())}</pre>"


def facts_table(facts: Iterable[tuple[str, object]]) -> str:
    """A row a fact: its name and its value, both escaped."""
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{_text(value)}</td></tr>" for name, value in facts
    )
    return f"<table>{rows}</table>"


def _table(
    names: Sequence[str], rows: Sequence[Sequence[Any]], *, rows_max: int = _ROWS_MAX
) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{_text(value)}</td>" for value in row) + "</tr>"
        for row in rows[:rows_max]
    )
    more = len(rows) - rows_max
    tail = f'<tr><td colspan="{len(names)}">… {more:,} more</td></tr>' if more > 0 else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}{tail}</tbody></table>"


def _text(value: object) -> str:
    text = str(value)
    return escape(text if len(text) <= _LETTERS_MAX else f"{text[:_LETTERS_MAX]}…")
