"""Streaming runbooks: recall, latency quantiles, findability and bytes while rows change.

Seven patterns in the form of big-ann-benchmarks (`benchmarks/runbooks.py`) on GloVe and on image
patches, rows of length 1 under the inner product. Everybody follows the same steps, step by step in
turn, each in a process of its own. Recall@10 is the mean over all search steps, against float64
truth of that moment, and who ties with the tenth counts. After the last step every row that was
replaced is searched for by its own vector. Those who compile walk the whole runbook once before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks import runbooks, truth
from benchmarks.peers import FLOOR, PEERS, STORES
from benchmarks.peers.remote import Absent, Failed, Remote
from benchmarks.rows import OURS, Plan, Row
from benchmarks.timing import Timing, drawn, shuffled, told, unit
from vectorkit import datasets
from vectorkit.errors import VectorKitError

K = 10
BUDGET_S = 40.0
"""A peer that has taken longer for its steps is out, with a row that says at which step."""
FOUND_BATCH = 256
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def rows(plan: Plan) -> Iterator[Row]:
    sizes = plan.pick([("drawn", 2_000)], [("glove", 20_000), ("patches", 20_000)])
    patterns = plan.pick(("sliding window", "hot-key replace"), tuple(runbooks.PATTERNS))
    for name, count in sizes:
        try:
            vectors, queries, bounds = data_of(name, count, plan.pick(32, 100))
        except (VectorKitError, ImportError) as error:
            yield Row(case=f"{name}, {count:,} rows", error=told(error))
            continue
        for pattern in patterns:
            book = runbooks.runbook(pattern, count, steps=plan.pick(60, 200), bounds=bounds)
            case = f"{pattern}, {name}, {count:,} × {vectors.shape[1]}"
            yield from walked(plan, case, book, vectors, queries)


def data_of(name: str, count: int, held_out: int) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Unit rows ordered by cluster, queries that are not among them, and the clusters' bounds."""
    if name == "drawn":
        everything = drawn(count + held_out, 32)
        base, queries = everything[held_out:], everything[:held_out]
    else:
        kept, asked = getattr(datasets, name)(count + held_out).split(held_out)
        base, queries = unit(kept.vectors), unit(asked)
    centres = base[shuffled(count, 16, seed=3)]
    cluster = np.argmax(base @ centres.T, axis=1)
    order = np.argsort(cluster, kind="stable")
    sizes = np.bincount(cluster, minlength=len(centres))
    return base[order], queries, [0, *np.cumsum(sizes).tolist()]


@dataclass
class Walk:
    """What one competitor has done so far."""

    peer: Remote | Absent
    seconds: dict[str, list[float]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    recalls: list[float] = field(default_factory=list)
    bytes_held: list[int] = field(default_factory=list)
    compilations: int = 0
    wrong_count: int = 0
    base_bytes: int = 0
    values: dict[str, float] = field(default_factory=dict)
    error: str = ""

    def take(self, kind: str, method: str, args: tuple[Any, ...], count: int) -> Any:
        """One step; a peer's failure ends its walk and nobody else's."""
        try:
            reply = self.peer.call(method, *args)
        except Failed as error:
            self.error = str(error)
            return None
        self.seconds.setdefault(kind, []).append(reply.lap.seconds)
        self.rows[kind] = self.rows.get(kind, 0) + count
        self.compilations += reply.lap.compilations
        return reply.given


class World:
    """What is true: which tag has which row."""

    def __init__(self, vectors: np.ndarray, queries: np.ndarray) -> None:
        self.vectors, self.queries = vectors, queries
        self.row_of: dict[int, int] = {}
        self.replaced: dict[int, None] = {}

    def apply(self, step: runbooks.Step) -> tuple[str, list[str], np.ndarray | None]:
        """Do a write; gives the method, the ids and the vectors that peers need to do the same."""
        kind = step["operation"]
        if kind == "replace":
            tags = range(step["tags_start"], step["tags_end"])
            sources = range(step["ids_start"], step["ids_end"])
            self.replaced |= dict.fromkeys(tags)
        else:
            tags = sources = range(step["start"], step["end"])
        ids = [f"tag-{tag}" for tag in tags]
        if kind == "delete":
            for tag in tags:
                del self.row_of[tag]
                self.replaced.pop(tag, None)
            return "delete", ids, None
        self.row_of.update(zip(tags, sources, strict=True))
        new = self.vectors[sources.start : sources.stop]
        return ("insert" if kind == "insert" else "update"), ids, new

    def now(self) -> tuple[dict[str, int], np.ndarray]:
        """The ids that are there, each with its place in the rows of now."""
        slot_of = {f"tag-{tag}": slot for slot, tag in enumerate(self.row_of)}
        return slot_of, self.vectors[list(self.row_of.values())]


def walked(
    plan: Plan, case: str, book: Mapping[Any, Any], vectors: np.ndarray, queries: np.ndarray
) -> Iterator[Row]:
    steps = runbooks.steps_of(book)
    names = [name for name in STORES if name in plan.peers]
    walks: dict[str, Walk] = {}
    for name in [OURS, FLOOR, *names]:
        why = PEERS[name].why_no_stream if name in PEERS else ""
        most = book["max_pts"]
        walks[name] = Walk(Absent(name, why), error=why) if why else begun(name, plan, most)
    try:
        first, *rest = steps
        for walk in walks.values():
            if walk.peer.name == OURS and not walk.error:
                follow({OURS: walk}, first, rest, vectors, queries)
                walks[OURS] = Walk(walk.peer, base_bytes=walk.base_bytes, error=walk.error)
        world = follow(walks, first, rest, vectors, queries)
        for walk in walks.values():
            search_replaced(world, walk)
    finally:
        for walk in walks.values():
            walk.peer.close()
    for name, walk in walks.items():
        yield from told_of(case, name, walk)


def begun(name: str, plan: Plan, row_count_max: int) -> Walk:
    try:
        peer = Remote(name, plan.cores)
        peer.call("expect", row_count_max)
        return Walk(peer, base_bytes=peer.call("resident_bytes").given)
    except Failed as error:
        return Walk(Absent(name, str(error)), error=str(error))


def follow(
    walks: Mapping[str, Walk],
    first: runbooks.Step,
    rest: list[runbooks.Step],
    vectors: np.ndarray,
    queries: np.ndarray,
) -> World:
    """Take every step with everybody; the first insert is the load."""
    world = World(vectors, queries)
    _, ids, new = world.apply(first)
    for walk in walks.values():
        if not walk.error:
            walk.take("load", "load", (ids, new), len(ids))
    for number, step in enumerate(rest, 2):
        if step["operation"] == "search":
            search(world, walks)
            continue
        method, ids, new = world.apply(step)
        for walk in walks.values():
            if walk.error:
                continue
            walk.take(step["operation"], method, (ids,) if new is None else (ids, new), len(ids))
            if sum(map(sum, walk.seconds.values())) > BUDGET_S:
                walk.error = f"more than {BUDGET_S:g} s for the steps up to {number}"
    return world


def search(world: World, walks: Mapping[str, Walk]) -> None:
    """All queries with everybody, judged against the truth of now, and the bytes of now."""
    slot_of, held = world.now()
    best = truth.best(held, world.queries, K)
    for walk in walks.values():
        if walk.error:
            continue
        found = walk.take("search", "search", (world.queries, K), len(world.queries))
        if found is None:
            continue
        hits = truth.hits(found, slot_of, held, world.queries, best)
        walk.recalls.append(float(hits.sum() / best.size))
        walk.wrong_count += sum(each not in slot_of for ids in found for each in ids)
        try:
            walk.bytes_held.append(walk.peer.call("resident_bytes").given - walk.base_bytes)
        except Failed as error:
            walk.error = str(error)


def search_replaced(world: World, walk: Walk) -> None:
    """Whether every replaced row is found by its own vector, or beaten by ten as good."""
    if walk.error or not walk.recalls:
        return
    slot_of, held = world.now()
    tags = [f"tag-{tag}" for tag in world.replaced]
    found_count = 0
    try:
        for start in range(0, len(tags), FOUND_BATCH):
            some = tags[start : start + FOUND_BATCH]
            asked = held[[slot_of[tag] for tag in some]]
            found = walk.peer.call("search", asked, K).given
            ranked = truth.best(held, asked, K)
            for tag, ids, query, scores in zip(some, found, asked, ranked, strict=True):
                own = float(query.astype(np.float64) @ query.astype(np.float64))
                is_beaten = own < scores[-1] - truth.SLACK
                ties = (scores >= own - truth.SLACK).sum() >= K
                found_count += tag in list(ids) or bool(is_beaten or ties)
        walk.values["own_held_bytes"] = float(walk.peer.call("held_bytes").given)
    except Failed as error:
        walk.error = str(error)
        return
    if tags:
        walk.values["findable_share"] = found_count / len(tags)
        walk.values["replaced_count"] = float(len(tags))


def told_of(case: str, name: str, walk: Walk) -> Iterator[Row]:
    """One row for the runbook, and one for each kind of step with its quantiles."""
    if walk.error and not walk.bytes_held:
        yield Row(case=case, who=name, error=walk.error)
        return
    values = {
        f"recall@{K}": float(np.mean(walk.recalls)),
        "recall_worst": min(walk.recalls),
        "wrong_count": float(walk.wrong_count),
        "compilation_count": float(walk.compilations),
        "resident_last_bytes": float(walk.bytes_held[-1]),
        "resident_most_bytes": float(max(walk.bytes_held)),
    } | walk.values
    whole = Timing((sum(map(sum, walk.seconds.values())),))
    yield Row(case=case, who=name, timing=whole, values=values, error=walk.error)
    for kind, seconds in walk.seconds.items():
        if kind == "load":
            continue
        taken = np.array(seconds) * 1e6
        quantiles = {f"call_us_{q}": float(np.quantile(taken, at)) for q, at in QUANTILES.items()}
        yield Row(
            case=f"{case}: {kind}",
            who=name,
            timing=Timing(tuple(seconds)),
            operations=max(1, walk.rows[kind] // len(seconds)),
            values=quantiles | {"calls_count": float(len(seconds))},
        )
