"""From estimated products to estimated scores, in one way for every codec.

Estimates choose which rows are scored canonically, as `kernels.candidates` does with float32 rows;
they are on the same scale.
"""

from __future__ import annotations

import jax.numpy as jnp

from vectorkit.kernels.shapes import Array, Float
from vectorkit.types import Metric


def estimated_scores(
    products: Float[Array, "tile batch"],
    norms: Float[Array, " tile"],
    query_norms: Float[Array, " batch"],
    metric: Metric,
) -> Float[Array, "tile batch"]:
    """Larger is better; never NaN. Cosine expects unit queries; euclidean gives −‖x − q‖².

    Half of it is summed first: the sum of two halved squares cannot overflow, so an infinite
    product never meets an infinity of the other sign.
    """
    if metric == "dot":
        return products
    if metric == "cosine":
        return jnp.where(norms[:, None] > 0, products / norms[:, None], 0.0)
    squares = 0.5 * jnp.square(norms)[:, None] + 0.5 * jnp.square(query_norms)
    return 2.0 * (products - squares)
