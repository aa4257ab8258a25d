"""Tables and decoded tiles give the products with the centroids that the codes name."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collections.reference import METRICS
from vectorkit.kernels.pq import tile_scores

SUBSPACES, CENTROIDS, WIDTH = 3, 256, 4


def reference(rows, queries, metric):
    """The documented estimate in float64: cosine of unit queries, euclidean as −‖x − q‖²."""
    if metric == "euclidean":
        return -np.square(rows[None] - queries[:, None]).sum(axis=2)
    return queries @ rows.T / (np.linalg.norm(rows, axis=1) if metric == "cosine" else 1)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("form", ["tables", "codebook"])
@given(seed=st.integers(0, 2**32 - 1))
def test_scores_equal_those_of_decoded_rows(metric, form, seed):
    rng = np.random.default_rng(seed)
    book = rng.normal(size=(SUBSPACES, CENTROIDS, WIDTH)).astype(np.float32)
    numbers = rng.integers(0, CENTROIDS, (20, SUBSPACES)).astype(np.uint8)
    queries = rng.normal(size=(5, SUBSPACES * WIDTH)).astype(np.float32)
    rows = book[np.arange(SUBSPACES), numbers].reshape(20, -1)
    norms = np.linalg.norm(rows, axis=1)
    parts = queries.reshape(5, SUBSPACES, WIDTH)
    prepared = {
        "tables": {"tables": np.einsum("scw,bsw->bsc", book, parts).reshape(5, -1)},
        "codebook": {"codebook": book.reshape(-1, WIDTH), "targets": queries},
    }[form]
    prepared["norms"] = np.linalg.norm(queries, axis=1)
    arrays = {name: jnp.asarray(array) for name, array in prepared.items()}
    found = tile_scores((jnp.asarray(numbers), jnp.asarray(norms)), arrays, metric)
    expected = reference(rows.astype(np.float64), queries.astype(np.float64), metric)
    np.testing.assert_allclose(np.asarray(found).T, expected, rtol=1e-4, atol=1e-4)
