"""Streaming runbooks in the form of big-ann-benchmarks: numbered steps over ranges, as plain data.

A runbook is a mapping from step numbers to steps, beside `max_pts`, the most rows at a time:

    insert   start, end                                rows start … end − 1, each with its own tag
    delete   start, end                                the tags start … end − 1
    replace  tags_start, tags_end, ids_start, ids_end  tags stay, their rows become others
    search   –                                         all queries, against the rows of now

`text` writes it as JSON, which is YAML too; `parse` reads either kind of text that JSON can read.
Rows are of one ordered array: for the clustered patterns it is ordered by cluster first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from vectorkit.draws import address, draw_block
from vectorkit.errors import InvalidOption

Step = dict[str, Any]
FIELDS = {
    "insert": ("start", "end"),
    "delete": ("start", "end"),
    "replace": ("tags_start", "tags_end", "ids_start", "ids_end"),
    "search": (),
}
STEPS = 200
"""About how many steps a runbook has; every fourth is a search."""


def insert_only(rows: int, steps: int, bounds: Sequence[int]) -> Iterator[Step]:
    """Rows come, none goes."""
    for start, end in chunks(0, rows, steps * 3 // 4):
        yield {"operation": "insert", "start": start, "end": end}


def delete_heavy(rows: int, steps: int, bounds: Sequence[int]) -> Iterator[Step]:
    """Everything comes at once, then four fifths go, piece by piece."""
    yield {"operation": "insert", "start": 0, "end": rows}
    for start, end in chunks(0, rows * 4 // 5, steps * 3 // 4):
        yield {"operation": "delete", "start": start, "end": end}


def sliding_window(rows: int, steps: int, bounds: Sequence[int]) -> Iterator[Step]:
    """The newest half stays: what comes pushes out what came first."""
    pieces = list(chunks(0, rows, steps // 2))
    for number, (start, end) in enumerate(pieces):
        yield {"operation": "insert", "start": start, "end": end}
        if number >= len(pieces) // 2:
            gone = pieces[number - len(pieces) // 2]
            yield {"operation": "delete", "start": gone[0], "end": gone[1]}


def expiration(rows: int, steps: int, bounds: Sequence[int]) -> Iterator[Step]:
    """Each piece has a lifetime: 1 in 3 short, 1 in 3 long, 1 in 3 for ever."""
    pieces = list(chunks(0, rows, steps // 2))
    lives = (len(pieces) // 10, len(pieces) // 3, len(pieces))
    for number, (start, end) in enumerate(pieces):
        yield {"operation": "insert", "start": start, "end": end}
        for born, (first, last) in enumerate(pieces[: number + 1]):
            if born + lives[born % 3] == number:
                yield {"operation": "delete", "start": first, "end": last}


def clustered_replace(rows: int, steps: int, bounds: Sequence[int]) -> Iterator[Step]:
    """The tags of one cluster become rows of another: what was dense is elsewhere afterwards."""
    half = rows // 2
    yield {"operation": "insert", "start": 0, "end": half}
    wanted = max(1, steps * 3 // 4)
    size = -(-half // wanted)
    order = np.argsort(draw_block(address(11), len(bounds) - 1), kind="stable")
    done = 0
    for cluster in [*order, *order[::-1]] * wanted:
        low, high = bounds[cluster] // 2, bounds[cluster + 1] // 2
        other = half + (low + half // 2) % half
        for start, end in chunks(low, high, max(1, (high - low) // size)):
            ids_start = min(other + start - low, rows - (end - start))
            yield _replace(start, end, ids_start)
            done += 1
            if done >= wanted:
                return


def random_replace(rows: int, steps: int, bounds: Sequence[int]) -> Iterator[Step]:
    """Drift: pieces drawn anywhere become rows that have not been there before."""
    half = rows // 2
    yield {"operation": "insert", "start": 0, "end": half}
    wanted = steps * 3 // 4
    size = max(1, half // wanted)
    places = draw_block(address(12), wanted).astype(np.int64) % (half - size + 1)
    for number, place in enumerate(places.tolist()):
        yield _replace(place, place + size, half + number * size)


def hot_key_replace(rows: int, steps: int, bounds: Sequence[int]) -> Iterator[Step]:
    """Zipf: few pieces are replaced again and again, most hardly ever."""
    half = rows // 2
    yield {"operation": "insert", "start": 0, "end": half}
    wanted = steps * 3 // 4
    size = max(1, half // (4 * wanted))
    weights = 1.0 / np.arange(1, half // size + 1)
    shares = np.cumsum(weights) / weights.sum()
    drawn = draw_block(address(13), wanted).astype(np.float64) / 2.0**32
    pieces = np.searchsorted(shares, drawn).tolist()
    for number, piece in enumerate(pieces):
        yield _replace(piece * size, piece * size + size, half + number * size % (half - size))


def _replace(start: int, end: int, ids_start: int) -> Step:
    return {
        "operation": "replace",
        "tags_start": start,
        "tags_end": end,
        "ids_start": ids_start,
        "ids_end": ids_start + end - start,
    }


PATTERNS: Mapping[str, Callable[[int, int, Sequence[int]], Iterator[Step]]] = {
    "insert only": insert_only,
    "delete heavy": delete_heavy,
    "sliding window": sliding_window,
    "expiration": expiration,
    "clustered replace": clustered_replace,
    "random replace": random_replace,
    "hot-key replace": hot_key_replace,
}


def runbook(
    pattern: str, rows: int, *, steps: int = STEPS, bounds: Sequence[int] | None = None
) -> dict[Any, Any]:
    """The runbook of a pattern over so many rows: a search after every third write, and at last.

    `bounds` are where the clusters of the ordered rows begin, and `rows`; without them there are
    sixteen of equal size.
    """
    edges = [rows * each // 16 for each in range(17)] if bounds is None else list(bounds)
    made: list[Step] = []
    for number, step in enumerate(PATTERNS[pattern](rows, steps, edges), 1):
        made.append(step)
        if number % 3 == 0:
            made.append({"operation": "search"})
    if made[-1]["operation"] != "search":
        made.append({"operation": "search"})
    return checked({"max_pts": most_rows(made), **dict(enumerate(made, 1))})


def most_rows(steps: Sequence[Step]) -> int:
    """How many rows there are at most at a time."""
    now = most = 0
    for step in steps:
        if step["operation"] == "insert":
            now += step["end"] - step["start"]
        elif step["operation"] == "delete":
            now -= step["end"] - step["start"]
        most = max(most, now)
    return most


def steps_of(book: Mapping[Any, Any]) -> list[Step]:
    """The steps in the order of their numbers."""
    return [book[number] for number in sorted(key for key in book if isinstance(key, int))]


def text(book: Mapping[Any, Any], dataset: str) -> str:
    """The runbook as text, below the name of its data set."""
    return json.dumps({dataset: dict(book)}, indent=1)


def parse(written: str) -> tuple[str, dict[Any, Any]]:
    """The data set's name and the runbook of a text. Raises InvalidOption for what is none."""
    try:
        ((dataset, book),) = json.loads(written).items()
        whole = {int(key) if key.isdigit() else key: value for key, value in book.items()}
    except (ValueError, AttributeError) as error:
        raise _refused(str(error)) from error
    return dataset, checked(whole)


def checked(book: dict[Any, Any]) -> dict[Any, Any]:
    """The runbook, if every step can be done after those before it. Raises InvalidOption."""
    there: set[int] = set()
    for number, step in enumerate(steps_of(book), 1):
        kind = step.get("operation")
        if kind not in FIELDS or any(not isinstance(step.get(f), int) for f in FIELDS[kind]):
            raise _refused(f"step {number}: {step}")
        first, last = FIELDS[kind][:2] or ("", "")
        tags = set(range(step[first], step[last])) if first else set()
        if kind == "insert" and tags & there:
            raise _refused(f"step {number} inserts tags that are there")
        if kind in {"delete", "replace"} and not tags <= there:
            raise _refused(f"step {number}: {kind} of tags that are not there")
        if kind == "replace" and step["ids_end"] - step["ids_start"] != len(tags):
            raise _refused(f"step {number} has other numbers of tags and of rows")
        there = there - tags if kind == "delete" else there | tags
    return book


def _refused(got: str) -> InvalidOption:
    return InvalidOption(
        "this is no runbook",
        got=got,
        wanted="numbered steps: insert and delete (start, end), replace (tags_start, tags_end, "
        "ids_start, ids_end), search",
        remedy="write it as benchmarks/runbooks.py describes",
    )


def chunks(start: int, end: int, count: int) -> Iterator[tuple[int, int]]:
    """At most `count` ranges of about equal size that make up the whole; none is empty."""
    count = max(1, min(count, end - start))
    edges = [start + (end - start) * each // count for each in range(count + 1)]
    return ((low, high) for low, high in pairwise(edges) if high > low)
