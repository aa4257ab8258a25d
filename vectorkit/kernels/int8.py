"""Scanning int8 rows: one query as floats, a batch of them as int8 too.

A single query is bound by memory, so a tile is widened in the cache and multiplied by the float32
query. A batch is bound by arithmetic: there the query is quantised as well and the product of
int8 with int8 is summed exactly in int32. The code that prepares the queries chooses:
the keys of `prepared` decide which of the two is traced.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from vectorkit.kernels.estimates import estimated_scores
from vectorkit.kernels.shapes import Array, Float, Int8
from vectorkit.types import Metric

Codes = tuple[Int8[Array, "tile dim"], Float[Array, " tile"], Float[Array, " tile"]]


def tile_scores(
    codes: Codes, prepared: dict[str, Array], metric: Metric
) -> Float[Array, "tile batch"]:
    """Estimated scores of a tile: codes, scales and norms of its rows, for every query.

    `prepared` has `norms` (batch,) and either `targets` (batch, dim) float32, or `codes`
    (batch, dim) int8 with their `scales` (batch,).
    """
    levels, scales, norms = codes
    if "targets" in prepared:
        wide = levels.astype(jnp.float32)
        targets = prepared["targets"]
        products = jnp.matmul(targets, wide.T, precision=jax.lax.Precision.HIGHEST).T
    else:
        sums = jax.lax.dot_general(
            levels,
            prepared["codes"],
            (((1,), (1,)), ((), ())),
            preferred_element_type=jnp.int32,
        )
        products = sums.astype(jnp.float32) * prepared["scales"]
    return estimated_scores(products * scales[:, None], norms, prepared["norms"], metric)
