"""What a filter costs: a filtered search against an exact one, the mask against pandas.

The filter is `{"year": {"gte": y}, "lang": {"in": ["en", "de"]}}`, with `y` chosen for the share of
rows that pass. pandas has its columns made beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

import vectorkit as vk
from benchmarks import truth
from benchmarks.rows import Plan, Row
from benchmarks.timing import drawn, in_turn, local
from vectorkit.collections.filters.columns import Columns
from vectorkit.collections.filters.filter import parse
from vectorkit.draws import address, draw_block

SHARES = (0.001, 0.01, 0.1, 0.5, 0.9)
LANGS = np.array(["en"] * 12 + ["de"] * 7 + ["fr"])
YEARS = 10_000


def payloads_of(count: int) -> list[dict[str, object]]:
    draws = draw_block(address(7), 2 * count).astype(np.int64)
    years = (draws[:count] % YEARS).tolist()
    langs = LANGS[draws[count:] % len(LANGS)].tolist()
    return [
        {"year": year, "lang": lang, "title": f"title {index}", "votes": 0.5 * index}
        for index, (year, lang) in enumerate(zip(years, langs, strict=True))
    ]


def rows(plan: Plan) -> Iterator[Row]:
    count, dim = plan.pick((16_384, 128), (100_000, 128))
    payloads = payloads_of(count)
    collection = vk.CpuCollection(dim=dim)
    collection.insert(range(count), drawn(count, dim), payloads)
    queries = drawn(32, dim, seed=8)
    for share in plan.pick((0.01, 0.5), SHARES):
        where = {
            "year": {"gte": round(YEARS * (1 - share / 0.95))},
            "lang": {"in": ["en", "de"]},
        }
        for batch in (1, 32):
            yield from searched(plan, collection, queries[:batch], where, share)
    for share in plan.pick((0.5,), SHARES):
        yield from masked(plan, payloads, share)
    yield columns_held(payloads)


def searched(
    plan: Plan, collection: vk.Collection, queries: np.ndarray, where: Any, share: float
) -> Iterator[Row]:
    """The same search with the filter and without, and how many of its answers are right."""
    many = partial(collection.search_many, queries, k=10)
    calls = {
        "vectorkit": local(lambda _: many(where=where).scores),
        "without the filter": local(lambda _: many().scores),
    }
    timings = in_turn(calls, plan.repeats)
    ours, plain = timings["vectorkit"], timings["without the filter"]
    case = f"search, {len(queries)} queries, {share:.1%} pass, {len(collection):,} rows"
    values = {"by unfiltered": ours.ratio(plain), "wrong_count": wrong(collection, queries, where)}
    yield Row(case=case, timing=ours, values=values)
    yield Row(case=case, who="without the filter", timing=plain)


def wrong(collection: vk.Collection, queries: np.ndarray, where: Any) -> float:
    """Answers that do not pass the filter, or are not the best of those that do."""
    found = collection.search_many(queries, k=10, where=where)
    year = where["year"]["gte"]
    now = collection.snapshot()
    held = zip(now.ids(), now.payloads(), now.vectors(), strict=True)
    passing = [(row_id, row) for row_id, p, row in held if p["year"] >= year and p["lang"] != "fr"]
    vectors = np.stack([row for _, row in passing])
    best = truth.best(vectors, queries, 10)
    allowed = {row_id for row_id, _ in passing}
    count = sum(row_id is not None and row_id not in allowed for row_id in found.ids.ravel())
    return float(count + (np.abs(found.scores[:, : best.shape[1]] - best) > 1e-6).sum())


def masked(plan: Plan, payloads: list[dict[str, object]], share: float) -> Iterator[Row]:
    """The mask alone, against pandas and against a loop over the payloads."""
    count, year = len(payloads), round(YEARS * (1 - share / 0.95))
    frame = pd.DataFrame({key: [p[key] for p in payloads] for key in ("year", "lang")})
    columns = Columns(payloads)
    checked = parse({"year": {"gte": year}, "lang": {"in": ["en", "de"]}})
    langs = {"en", "de"}
    calls = {
        "vectorkit": lambda _: checked.mask(columns, count),
        "pandas": lambda _: ((frame["year"] >= year) & frame["lang"].isin(langs)).to_numpy(),
        "loop": lambda _: [p["year"] >= year and p["lang"] in langs for p in payloads],
    }
    differing = (np.asarray(calls["vectorkit"](0)) != np.asarray(calls["loop"](0))).sum()
    timings = in_turn({name: local(call) for name, call in calls.items()}, plan.repeats)
    for name, timing in timings.items():
        values = {"by vectorkit": timing.ratio(timings["vectorkit"])}
        if name == "vectorkit":
            lead = timings["pandas"].ratio(timing)
            values = {"lead over pandas": lead, "wrong_count": float(differing)}
        yield Row(case=f"mask, {share:.1%} pass, {count:,} rows", who=name, timing=timing,
                  values=values)  # fmt: skip


def columns_held(payloads: list[dict[str, object]]) -> Row:
    """What a column takes, and what one changed payload costs it."""
    columns, count = Columns(payloads), len(payloads)
    for key in ("year", "lang"):
        columns.column(key, count)
    timings = in_turn(
        {"reread": local(lambda _: columns.reread(range(1_000)))}, repeats=5, budget_s=1.0
    )
    return Row(
        case=f"columns, {count:,} rows",
        timing=timings["reread"],
        operations=1_000,
        values={"row_and_key_bytes": columns.nbytes / count / 2},
    )
