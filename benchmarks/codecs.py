"""What codecs cost and find: scan time against float32, recall after rescoring, bytes, encoding.

    python -m benchmarks.codecs [--rows 100000] [--dim 384] [--vectors FILE.npy ...]

Scans are tiles of 4,096 rows with the maximum of each 128 rows kept, which is what a selection
reads; the variants alternate within a run, and the ratios to float32 are the figures to quote.
Recall counts how many of the true ten are among the best 10 · rescore estimates, which float32 rows
then put in order. Without `--vectors` rows are drawn around 1,000 centres.
"""

import argparse
from time import perf_counter

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from vectorkit.collections.codecs import CODECS, codec_of
from vectorkit.draws import address, draw_block
from vectorkit.kernels.canonical import canonical_norms, stored_norms

TILE, BLOCK, QUERIES = 4_096, 128, 200
BATCHES, RESCORES = (1, 8, 32, 128), (1, 2, 4, 8)


def normal(count, dim, seed):
    """Sums of four uniform draws: close enough to normal."""
    draws = draw_block(address(seed), count * dim * 4).reshape(count, dim, 4)
    return ((draws / 2.0**31 - 1.0).sum(axis=2) * 0.87).astype(np.float32)


def load(paths, count, dim):
    if paths:
        return np.concatenate([np.load(path).astype(np.float32) for path in paths])[:count]
    centres = normal(1_000, dim, 1)
    chosen = draw_block(address(2), count) % 1_000
    blocks = [
        centres[chosen[start : start + 10_000]] + normal(min(10_000, count - start), dim, start + 3)
        for start in range(0, count, 10_000)
    ]
    return np.concatenate(blocks)


def scanner(score):
    """A jitted scan of all tiles that keeps block maxima."""

    def scan(codes, prepared):
        tiles = codes[0].shape[0] // TILE

        def one(index):
            tile = tuple(jax.lax.dynamic_slice_in_dim(c, index * TILE, TILE) for c in codes)
            scores = score(tile, prepared)
            return scores.reshape(-1, BLOCK, scores.shape[1]).max(axis=1)

        return jax.lax.map(one, jnp.arange(tiles))

    return jax.jit(scan)


def float32_tile(codes, prepared):
    return jnp.matmul(codes[0], prepared["targets"].T, precision=jax.lax.Precision.HIGHEST)


def scan_times(rows, codecs, encoded, repeats):
    whole = len(rows) // TILE * TILE
    device = {
        name: tuple(jnp.asarray(array[:whole]) for array in codes)
        for name, codes in {**encoded, "float32": (rows, stored_norms(rows))}.items()
    }
    for batch in BATCHES:
        queries = rows[:batch]
        runs = {}
        for name, codes in device.items():
            if name == "float32":
                prepared = {"targets": queries, "norms": stored_norms(queries)}
                run = scanner(float32_tile)
            else:
                prepared = codecs[name].prepare(queries, "dot")
                score = codecs[name].tile_scores
                run = scanner(lambda tile, given, score=score: score(tile, given, "dot"))
            prepared = {key: jnp.asarray(array) for key, array in prepared.items()}
            run(codes, prepared).block_until_ready()
            runs[name] = (run, codes, prepared)
        times = {name: [] for name in runs}
        for _ in range(repeats):
            for name, (run, codes, prepared) in runs.items():
                started = perf_counter()
                run(codes, prepared).block_until_ready()
                times[name].append((perf_counter() - started) * 1e3)
        floor = np.median(times["float32"])
        for name, values in times.items():
            median = np.median(values)
            yield {"batch": batch, "codec": name, "scan_ms": median, "speedup": floor / median}


def true_ten(rows, queries):
    """The ten best by cosine, in float64 where float32 cannot tell."""
    units = rows / np.maximum(canonical_norms(rows), 1e-30)[:, None].astype(np.float32)
    return np.argsort(-(queries @ units.T), axis=1, kind="stable")[:, :10]


def recalls(codec, codes, queries, truth):
    search = jax.jit(
        lambda codes, prepared: jax.lax.top_k(
            codec.tile_scores(codes, prepared, "cosine").T, 10 * max(RESCORES)
        )[1]
    )
    device = tuple(map(jnp.asarray, codes))
    found = np.concatenate(
        [
            np.asarray(search(device, codec.prepare(queries[start : start + 8], "cosine")))
            for start in range(0, len(queries), 8)
        ]
    )
    for rescore in RESCORES:
        hits = [len(set(a) & set(b[: 10 * rescore])) for a, b in zip(truth, found, strict=True)]
        yield f"recall_x{rescore}", np.mean(hits) / 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--vectors", nargs="*", default=(), help=".npy files of rows")
    options = parser.parse_args()
    everything = load(options.vectors, options.rows + QUERIES, options.dim)
    everything = everything[np.argsort(draw_block(address(5), len(everything)), kind="stable")]
    queries, rows = everything[:QUERIES], everything[QUERIES:]
    truth = true_ten(rows, queries)
    codecs, encoded, table = {}, {}, []
    for name in CODECS:
        started = perf_counter()
        codec = codec_of(name, rows.shape[1], seed=7).trained(rows)
        trained = perf_counter()
        codes = codec.encode(rows)
        many_us = (perf_counter() - trained) * 1e6 / len(rows)
        singles = []
        for row in rows[:50]:
            began = perf_counter()
            codec.encode(row[None])
            singles.append((perf_counter() - began) * 1e6)
        codecs[name], encoded[name] = codec, codes
        table.append(
            {
                "codec": name,
                "row_bytes": codec.row_bytes,
                "share": codec.row_bytes / (4 * rows.shape[1]),
                "train_s": trained - started,
                "encode_row_us": many_us,
                "encode_one_us": np.median(singles),
                "relative_error": codec.relative_error(rows[:5_000]),
                **dict(recalls(codec, codes, queries, truth)),
            }
        )
    print(f"{len(rows):,} × {rows.shape[1]}")
    print(pd.DataFrame(table).round(4).to_string(index=False))
    times = pd.DataFrame(scan_times(rows, codecs, encoded, options.repeats))
    print(times.round(2).to_string(index=False))


if __name__ == "__main__":
    main()
