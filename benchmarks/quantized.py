"""What codes cost and give: recall, bytes and time of every codec against exact float32 search.

    python -m benchmarks.quantized [--data minilm|glove] [--quick]

Recall@10 is against the exact answers of the same rows and held-out queries. Times are whole
`search_many` calls, canonical scoring included; all collections take turns in one process.
"""

from __future__ import annotations

import numpy as np

from benchmarks import common
from vectorkit import CpuCollection, QuantizedCollection, datasets

KINDS = {
    "int8": {"codec": "int8", "rescore": 4},
    "int8, no rows": {"codec": "int8", "rescore": 4, "rows": "none"},
    "binary": {"codec": "binary", "rescore": 8},
    "pq": {"codec": "pq", "rescore": 8},
}
BATCHES = (1, 8, 32, 128)


def main() -> None:
    made = common.parser(__doc__)
    made.add_argument("--data", choices=("minilm", "glove"), default="minilm")
    made.add_argument("--rows", type=int, default=100_000)
    options = common.parse(made)
    count = 5_000 if options.quick else options.rows
    base, queries = getattr(datasets, options.data)(count + 200).split(200)
    report = common.Report("quantized", options)
    made_of = {"exact": CpuCollection(dim=base.dim)}
    made_of |= {name: QuantizedCollection(dim=base.dim, **given) for name, given in KINDS.items()}
    for collection in made_of.values():
        collection.upsert(range(len(base)), base.vectors)
    truth = made_of["exact"].search_many(queries, k=10).ids
    raw = base.vectors.nbytes
    rows = []
    for name, collection in made_of.items():
        found, memory = collection.search_many(queries, k=10).ids, collection.memory()
        shares = [len({*a} & {*b}) / 10 for a, b in zip(found, truth, strict=True)]
        codes = sum(size for part, size in memory.device.items() if part not in {"rows"})
        rows.append(
            {
                "kind": name,
                "recall@10": float(np.mean(shares)),
                "codes / rows": codes / (collection._storage.capacity * base.dim * 4),
                "memory / raw": memory.total_bytes / raw,
            }
        )
    for batch in BATCHES:
        calls = {
            name: (lambda _, c=collection, b=batch: c.search_many(queries[:b], k=10).scores)
            for name, collection in made_of.items()
        }
        times = common.in_turn(calls, options.repeats, lock=options.lock)
        for row in rows:
            row[f"ms, {batch}"] = times[row["kind"]].median_s * 1e3
            row[f"speed, {batch}"] = times["exact"].ratio(times[row["kind"]])
    report.table(f"{options.data}, {len(base):,} × {base.dim}, cosine", rows)
    by_name = {row["kind"]: row for row in rows}
    report.bar("int8 recall@10", by_name["int8"]["recall@10"], 0.99, "higher")
    report.bar("int8 codes by float32 bytes", by_name["int8"]["codes / rows"], 0.30, "lower")
    report.bar("binary recall@10, rescore 8", by_name["binary"]["recall@10"], 0.95, "higher")
    for batch in BATCHES:
        report.bar(
            f"int8 by exact speed, {batch}", by_name["int8"][f"speed, {batch}"], 1.0, "higher"
        )
        report.bar(
            f"binary by exact speed, {batch}", by_name["binary"][f"speed, {batch}"], 5.0, "higher"
        )


if __name__ == "__main__":
    main()
