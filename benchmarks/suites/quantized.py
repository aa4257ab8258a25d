"""What codes cost and give: recall, bytes and time of every codec against exact float32 search.

Recall@10 is against the exact answers of the same rows and held-out queries. Times are whole
`search_many` calls, canonical scoring included; all collections take turns in one process. MiniLM
is left out, with a row that says so, where its packages are not installed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks import truth
from benchmarks.rows import Plan, Row
from benchmarks.timing import Timing, drawn, in_turn, local, told, unit
from vectorkit import Collection, CpuCollection, QuantizedCollection, datasets
from vectorkit.errors import VectorKitError

KINDS: dict[str, dict[str, Any]] = {
    "int8": {"codec": "int8", "rescore": 4},
    "int8, no rows": {"codec": "int8", "rescore": 4, "rows": "none"},
    "binary": {"codec": "binary", "rescore": 8},
    "pq": {"codec": "pq", "rescore": 8},
}
RESCORES = (1, 2, 4, 8)
BATCHES = (1, 8, 32, 128)
HELD_OUT = 200


def rows(plan: Plan) -> Iterator[Row]:
    for name, count in plan.pick([("drawn", 8_192)], [("minilm", 100_000), ("glove", 100_000)]):
        try:
            vectors, queries = data_of(name, count)
        except (VectorKitError, ImportError) as error:
            yield Row(case=f"{name}, {count:,} rows", error=told(error))
            continue
        title = f"{name}, {len(vectors):,} × {vectors.shape[1]}"
        best = truth.best(vectors, queries, 10)
        yield from encoded(plan, title, vectors)
        yield from searched(plan, title, vectors, queries, best)
        if plan.form == "full":
            yield from rescored(title, vectors, queries, best)


def kinds(plan: Plan) -> dict[str, dict[str, Any] | None]:
    """Exact float32 rows and the codecs; a quick run has those that need no training."""
    chosen = plan.pick(("int8", "binary"), tuple(KINDS))
    return {"exact": None, **{name: KINDS[name] for name in chosen}}


def data_of(name: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows and queries that are not among them; drawn ones lie around 64 centres."""
    if name == "drawn":
        centres = drawn(64, 64, seed=1)[np.arange(count + HELD_OUT) % 64]
        mixed = unit(centres + drawn(count + HELD_OUT, 64) * np.float32(0.7))
        return mixed[HELD_OUT:], mixed[:HELD_OUT]
    base, queries = getattr(datasets, name)(count + HELD_OUT).split(HELD_OUT)
    return unit(base.vectors), unit(queries)


def encoded(plan: Plan, title: str, vectors: np.ndarray) -> Iterator[Row]:
    """Writing all rows, training included, and one row alone."""
    for name, given in kinds(plan).items():
        collection = made(vectors, given, is_filled=False)
        started = perf_counter()
        collection.upsert(range(len(vectors)), vectors)
        collection.get(0)
        whole = perf_counter() - started
        one = in_turn({name: local(lambda _, c=collection: write_one(c, vectors))}, plan.repeats)
        yield Row(
            case=f"write all rows, {title}",
            who=name,
            timing=Timing((whole,)),
            operations=len(vectors),
            values={"one_row_us": one[name].median_s * 1e6},
        )


def write_one(collection: Collection, vectors: np.ndarray) -> None:
    collection.update_vector(0, vectors[1])
    collection.get(0)


def searched(
    plan: Plan, title: str, vectors: np.ndarray, queries: np.ndarray, best: np.ndarray
) -> Iterator[Row]:
    """All kinds in turn, with recall and bytes beside each."""
    collections = {name: made(vectors, given) for name, given in kinds(plan).items()}
    facts = {name: facts_of(each, vectors, queries, best) for name, each in collections.items()}
    for batch in plan.pick((1, 32), BATCHES):
        calls = {
            name: local(lambda _, c=each, asked=queries[:batch]: c.search_many(asked, k=10).scores)
            for name, each in collections.items()
        }
        timings = in_turn(calls, plan.repeats)
        for name, timing in timings.items():
            speed = {"times_faster": timings["exact"].ratio(timing)}
            yield Row(
                case=f"search, {batch} queries, {title}",
                who=name,
                timing=timing,
                values=speed | facts[name],
                moved_bytes=facts[name]["scanned_bytes"],
            )


def made(
    vectors: np.ndarray, given: Mapping[str, Any] | None, *, is_filled: bool = True
) -> Collection:
    kind = CpuCollection if given is None else QuantizedCollection
    collection: Collection = kind(dim=vectors.shape[1], **given or {})
    if is_filled:
        collection.upsert(range(len(vectors)), vectors)
    return collection


def facts_of(
    collection: Collection, vectors: np.ndarray, queries: np.ndarray, best: np.ndarray
) -> dict[str, float]:
    """Recall, the bytes that a scan reads, all bytes by those of the raw rows."""
    found = collection.search_many(queries, k=10).ids
    raw, memory = vectors.nbytes, collection.memory()
    if isinstance(collection, QuantizedCollection):
        scanned = collection.codec_report().row_bytes * len(vectors)
    else:
        scanned = raw
    return {
        "recall@10": truth.recall(found, range(len(vectors)), vectors, queries, best),
        "scanned_bytes": float(scanned),
        "scanned_share": scanned / raw,
        "memory_by_raw": memory.total_bytes / raw,
    }


def rescored(
    title: str, vectors: np.ndarray, queries: np.ndarray, best: np.ndarray
) -> Iterator[Row]:
    """Recall by how many candidates are scored again."""
    for codec in ("int8", "binary", "pq"):
        values = {}
        for rescore in RESCORES:
            collection = made(vectors, {"codec": codec, "rescore": rescore})
            found = collection.search_many(queries, k=10).ids
            reached = truth.recall(found, range(len(vectors)), vectors, queries, best)
            values[f"recall@10, rescore {rescore}"] = reached
        yield Row(case=f"recall by rescore, {title}", who=codec, values=values)
