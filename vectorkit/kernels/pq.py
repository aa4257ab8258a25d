"""Scanning product-quantised rows: by tables for one query, by decoding for a batch.

One query looks up its products with all centroids, one gather a code (asymmetric distances, Jégou,
Douze and Schmid, 2011). A gather costs as much for every query, a decoded tile is shared by all of
them: from a handful of queries on decoding and one matrix product are cheaper.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from vectorkit.kernels.estimates import estimated_scores
from vectorkit.kernels.shapes import Array, Float, UInt8
from vectorkit.types import Metric

Codes = tuple[UInt8[Array, "tile subspaces"], Float[Array, " tile"]]


def tile_scores(
    codes: Codes, prepared: dict[str, Array], metric: Metric
) -> Float[Array, "tile batch"]:
    """Estimated scores of a tile: centroid numbers and norms of its rows, for every query.

    `prepared` has `norms` (batch,) and either `tables` (batch, subspaces · centroids), or
    `codebook` (subspaces · centroids, width) with `targets` (batch, subspaces · width).
    """
    numbers, norms = codes
    table = prepared["tables"].T if "tables" in prepared else prepared["codebook"]
    centroids = table.shape[0] // numbers.shape[1]
    firsts = jnp.arange(numbers.shape[1], dtype=jnp.int32) * centroids
    found = table.at[numbers.astype(jnp.int32) + firsts].get(mode="promise_in_bounds")
    if "tables" in prepared:
        products = jnp.sum(found, axis=1)
    else:
        decoded = found.reshape(numbers.shape[0], -1)
        targets = prepared["targets"]
        products = jnp.matmul(decoded, targets.T, precision=jax.lax.Precision.HIGHEST)
    return estimated_scores(products, norms, prepared["norms"], metric)
