"""What a collection is compared with: the documented scores in plain float64, and hard rows."""

import numpy as np

METRICS = ("dot", "cosine", "euclidean")
NORM_LIMIT = 1.84e19


def reference_score(row, query, metric):
    """One score in float64 as documented, rounded to float32; never −0.0."""
    x, q = row.astype(np.float64), query.astype(np.float64)
    if metric == "euclidean":
        return np.float32(-np.sqrt(np.sum((x - q) ** 2))) + np.float32(0.0)
    score = np.sum(x * q)
    if metric == "cosine":
        norms = np.sqrt(np.sum(x * x)), np.sqrt(np.sum(q * q))
        score = score / (norms[0] * norms[1]) if min(norms) >= 1e-30 else 0.0
    return np.float32(score) + np.float32(0.0)


def reference_search(rows, query, k, metric):
    """Pairs (slot, score) of the k best rows, ordered by (score, slot)."""
    scores = [float(reference_score(row, query, metric)) for row in rows]
    order = sorted(range(len(rows)), key=lambda slot: (-scores[slot], slot))
    return [(slot, scores[slot]) for slot in order[:k]]


def reference_delete(ids, gone):
    """Ids in slot order after a delete: the last rows go into the holes, in their order."""
    remaining = len(ids) - len(gone)
    moved = iter([name for name in ids[remaining:] if name not in gone])
    return [next(moved) if name in gone else name for name in ids[:remaining]]


def _common(rng, count, dim):
    return rng.normal(size=(count, dim))


def _near_duplicates(rng, count, dim):
    base = np.float32(rng.normal(size=dim) * 10.0 ** rng.uniform(0, 8))
    rows = np.repeat(base[None, :], count, axis=0)
    return np.where(rng.random((count, dim)) < 0.3, np.nextafter(rows, np.float32(np.inf)), rows)


def _close(rng, count, dim):
    base = rng.normal(size=dim) * 1000
    return base + rng.normal(size=(count, dim)) * 2.0 ** -rng.integers(0, 16)


def _at_the_limit(rng, count, dim):
    rows = rng.normal(size=(count, dim))
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / lengths * NORM_LIMIT * rng.uniform(0.3, 1.0, size=(count, 1))


def _opposite_at_the_limit(rng, count, dim):
    base = rng.normal(size=dim)
    base *= NORM_LIMIT / np.linalg.norm(base)
    steps = 1 - rng.integers(0, 9, size=(count, 1)) * 2.0**-21
    return base * steps * rng.choice([-1, 1], size=(count, 1))


def _tiny(rng, count, dim):
    return rng.normal(size=(count, dim)) * 10.0 ** rng.uniform(-33, -27, size=(count, 1))


def _subnormal(rng, count, dim):
    return rng.integers(-4, 5, size=(count, dim)) * np.float64(np.float32(1e-45))


def _whole_numbers(rng, count, dim):
    return rng.integers(-2, 3, size=(count, dim))


def _every_magnitude(rng, count, dim):
    return rng.normal(size=(count, dim)) * 10.0 ** rng.uniform(-44, 17, size=(count, 1))


def _mixed_magnitudes(rng, count, dim):
    return rng.normal(size=(count, dim)) * 10.0 ** rng.uniform(-40, 17, size=(count, dim))


HARD_ROWS = {
    "common": _common,
    "near duplicates": _near_duplicates,
    "close": _close,
    "at the limit": _at_the_limit,
    "opposite at the limit": _opposite_at_the_limit,
    "tiny": _tiny,
    "subnormal": _subnormal,
    "whole numbers": _whole_numbers,
    "every magnitude": _every_magnitude,
    "mixed magnitudes": _mixed_magnitudes,
}


def hard_rows(kind, seed, count, dim):
    """Rows (count, dim) float32 that are hard to rank, all of them accepted by a collection."""
    return HARD_ROWS[kind](np.random.default_rng(seed), count, dim).astype(np.float32)


def filled(cls, count=40, dim=4, metric="dot", seed=0):
    """A collection of common rows with ids "0", "1", …, each with its number as payload."""
    collection = cls(dim=dim, metric=metric)
    rows = hard_rows("common", seed, count, dim)
    names = [str(number) for number in range(count)]
    collection.insert(names, rows, payloads=[{"n": number} for number in range(count)])
    return collection


def everything(reader, query=None):
    """All that a reader shows: version, digest, ids, rows, payloads and a search."""
    rows = [reader.get(name) for name in reader.ids()]
    query = np.ones(reader.dim, np.float32) if query is None else query
    return (
        reader.version,
        reader.digest(),
        [(row.id, row.vector.tobytes(), row.payload) for row in rows],
        list(reader.search(query, k=5)),
    )
