"""Codecs: a row's codes are its own, decoding loses nothing more, scans estimate true scores."""

from functools import cache

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.collections.reference import HARD_ROWS, METRICS, hard_rows, reference_score
from vectorkit.collections.codecs import CODECS, BinaryCodec, Codec, PqCodec, codec_of
from vectorkit.collections.codecs.base import DECODED_NORM_MAX
from vectorkit.collections.codecs.pq import CENTROIDS, WIDTH
from vectorkit.errors import InvalidOption
from vectorkit.kernels.canonical import NORM_MAX, canonical_norms

kinds = st.sampled_from(sorted(HARD_ROWS))
seeds = st.integers(0, 2**32 - 1)
dims = st.sampled_from([1, 2, 3, 9, 33, 64, 256])
by_metric = pytest.mark.parametrize("metric", METRICS)
by_codec = pytest.mark.parametrize("name", sorted(CODECS))

CENTRED = "binary, another centre"
PLAIN = "binary, no centre"
variants = pytest.mark.parametrize("variant", [*sorted(CODECS), CENTRED, PLAIN])


@cache
def make(variant, dim, kind="common", seed=0):
    """A codec ready to encode; a codebook or a centre is learned from rows of a kind."""
    if variant == PLAIN:
        return BinaryCodec(dim, seed=7)
    if variant == CENTRED:
        centre = hard_rows("common", seed + 9, 1, dim)[0]
        return BinaryCodec(dim, seed=7, parameters={"centre": centre})
    return codec_of(variant, dim, seed=7).trained(hard_rows(kind, seed + 5, 260, dim))


def rows_of(kind, seed, dim, count=12):
    rows = np.concatenate([hard_rows(kind, seed, count, dim), np.zeros((1, dim), np.float32)])
    return np.concatenate([rows, np.eye(1, dim, dtype=np.float32) * np.float32(1e-25)])


def bits(codes):
    return [array.tobytes() for array in codes]


def scores(codec, codes, queries, metric):
    prepared = {name: jnp.asarray(array) for name, array in codec.prepare(queries, metric).items()}
    return np.asarray(codec.tile_scores(tuple(map(jnp.asarray, codes)), prepared, metric)).T


def exact(rows, queries, metric):
    """The scores that estimates stand for, in float64: euclidean is −‖x − q‖²."""
    if metric == "euclidean":
        return np.stack([-np.square(rows - each).sum(axis=1) for each in queries.astype(float)])
    lengths = np.outer(canonical_norms(queries), canonical_norms(rows))
    products = queries.astype(np.float64) @ rows.T.astype(np.float64)
    return products / np.maximum(lengths, 1e-30) if metric == "cosine" else products


@variants
@given(kind=kinds, seed=seeds, dim=dims)
@example(kind="at the limit", seed=1, dim=1)
def test_encoding_a_decoded_row_gives_the_same_bits(variant, kind, seed, dim):
    codec = make(variant, dim, kind, seed % 2)
    codes = codec.encode(rows_of(kind, seed, dim))
    decoded = codec.decode(codes)
    assert bits(codec.encode(decoded)) == bits(codes)
    assert codec.decode(codec.encode(decoded)).tobytes() == decoded.tobytes()


@variants
@given(kind=kinds, seed=seeds, dim=dims)
def test_codes_do_not_depend_on_the_batch(variant, kind, seed, dim):
    codec = make(variant, dim, kind, seed % 2)
    rows = rows_of(kind, seed, dim)
    together = codec.encode(rows)
    alone = [codec.encode(row[None]) for row in rows]
    assert bits(together) == bits(tuple(map(np.concatenate, zip(*alone, strict=True))))
    decoded = [codec.decode(codes) for codes in alone]
    assert codec.decode(together).tobytes() == np.concatenate(decoded).tobytes()


@variants
def test_codes_do_not_depend_on_the_batch_where_it_spans_blocks(variant):
    codec = make(variant, 384)
    rows = hard_rows("every magnitude", 3, 1_500, 384)
    together = codec.encode(rows)
    for start, stop in [(0, 1), (511, 513), (700, 1_500)]:
        part = codec.encode(rows[start:stop])
        assert bits(part) == [array[start:stop].tobytes() for array in together]


@variants
def test_codes_do_not_depend_on_the_layout_of_the_batch(variant):
    codec = make(variant, 40)
    rows = hard_rows("common", 3, 64, 40)
    assert bits(codec.encode(np.asfortranarray(rows))) == bits(codec.encode(rows))


@variants
@pytest.mark.parametrize("shape", [(1, 8), (8, 1), (3, 5)])
def test_neither_rows_nor_queries_are_changed(variant, shape):
    codec, rows = make(variant, shape[1]), hard_rows("common", 4, *shape)
    before = rows.copy()
    codec.encode(rows)
    codec.prepare(rows, "dot")
    assert rows.tobytes() == before.tobytes()


@by_codec
def test_the_largest_dimension_is_encoded_and_decoded(name):
    rows = hard_rows("common", 0, 3, 65_536)
    codec = codec_of(name, 65_536).trained(rows)
    codes = codec.encode(rows)
    assert bits(codec.encode(codec.decode(codes))) == bits(codes)


@variants
@given(kind=kinds, seed=seeds, dim=dims)
def test_decoded_rows_are_rows_that_a_collection_takes(variant, kind, seed, dim):
    codec = make(variant, dim, kind, seed % 2)
    decoded = codec.decode(codec.encode(rows_of(kind, seed, dim)))
    with np.errstate(over="ignore"):
        squares = np.einsum("ij,ij->i", decoded, decoded)
    assert decoded.dtype == np.float32
    assert np.isfinite(squares).all()


@variants
@pytest.mark.parametrize("dim", [1, 2, 9, 384])
def test_decoded_rows_at_the_limit_are_no_longer_than_the_limit(variant, dim):
    directions = np.concatenate([hard_rows("common", 0, 40, dim), np.ones((1, dim), np.float32)])
    lengths = np.linalg.norm(directions.astype(np.float64), axis=1, keepdims=True)
    rows = (directions / lengths * (NORM_MAX * (1 - 2.0**-22))).astype(np.float32)
    codec = make(variant, dim) if variant != "pq" else PqCodec(dim).trained(rows)
    codes = codec.encode(rows)
    decoded = codec.decode(codes)
    assert np.linalg.norm(decoded.astype(np.float64), axis=1).max() <= DECODED_NORM_MAX
    assert bits(codec.encode(decoded)) == bits(codes)


@given(seed=seeds)
def test_int8_products_are_exact_and_any_subnormal_row_repeats(seed):
    rng = np.random.default_rng(seed)
    tiny = rng.integers(-2_000, 2_001, (40, 1)) * np.float64(np.float32(1e-45))
    codec = codec_of("int8", 1)
    for rows in (tiny.astype(np.float32), hard_rows("every magnitude", seed, 40, 1)):
        codes = codec.encode(rows)
        decoded = codec.decode(codes)
        assert (decoded == codes[0] * codes[1][:, None].astype(np.float64)).all()
        assert bits(codec.encode(decoded)) == bits(codes)


@variants
@by_metric
@given(kind=kinds, asked=kinds, seed=seeds, batch=st.sampled_from([1, 8]))
def test_scans_never_give_nan(variant, metric, kind, asked, seed, batch):
    codec = make(variant, 9, kind, seed % 2)
    codes = codec.encode(rows_of(kind, seed, 9))
    found = scores(codec, codes, hard_rows(asked, seed + 1, batch, 9), metric)
    assert found.shape == (batch, 14)
    assert not np.isnan(found).any()


@by_metric
@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e8])
@pytest.mark.parametrize(
    ("variant", "error"), [("int8", 0.02), ("binary", 0.2), (CENTRED, 0.2), ("pq", 0.2)]
)
def test_scans_estimate_the_scores_of_float32_rows(metric, batch, scale, variant, error):
    rows = hard_rows("common", 1, 2_000, 256)
    queries = rows[:batch] + hard_rows("common", 2, batch, 256)
    rows, queries = rows * np.float32(scale), queries * np.float32(scale)
    codec = BinaryCodec(256, parameters={"centre": rows.mean(axis=0)})
    if variant != CENTRED:
        codec = codec_of(variant, 256).trained(rows)
    truth = exact(rows, queries, metric)
    found = scores(codec, codec.encode(rows), queries, metric)
    unit = {"cosine": 1.0, "dot": 256 * scale**2, "euclidean": 512 * scale**2}[metric]
    assert np.sqrt(np.mean((found / unit - truth / unit) ** 2)) < error
    assert (found.argmax(axis=1) == truth.argmax(axis=1)).all()


@by_codec
@by_metric
def test_a_row_and_a_query_of_zeros_score_as_documented(name, metric):
    codec = make(name, 12)
    rows = np.zeros((3, 12), np.float32)
    codes = codec.encode(rows) if name != "pq" else codec.empty(3)
    found = scores(codec, codes, np.zeros((1, 12), np.float32), metric)
    expected = [float(reference_score(rows[0], rows[0], metric))] * 3
    assert name == "pq" or found.tolist() == [expected]
    assert metric == "euclidean" or (found == 0).all()


@by_codec
def test_empty_codes_have_the_shapes_and_types_of_codes(name):
    codec = make(name, 50)
    empty, codes = codec.empty(4), codec.encode(hard_rows("common", 0, 4, 50))
    assert [(a.shape, a.dtype) for a in empty] == [(a.shape, a.dtype) for a in codes]
    assert codec.row_bytes * 4 == sum(array.nbytes for array in codes)


@by_codec
def test_no_rows_have_no_codes(name):
    codec = make(name, 5)
    codes = codec.encode(np.zeros((0, 5), np.float32))
    assert [len(array) for array in codes] == [0] * len(codes)
    assert codec.decode(codes).shape == (0, 5)


@pytest.mark.parametrize(
    ("name", "dim", "row_bytes"),
    [("int8", 384, 392), ("binary", 384, 56), ("binary", 50, 24), ("pq", 384, 100)],
)
def test_codes_take_this_many_bytes(name, dim, row_bytes):
    assert codec_of(name, dim).row_bytes == row_bytes


@pytest.mark.parametrize(("dim", "planes"), [(255, 2), (256, 1)])
def test_few_coordinates_have_two_bits_each(dim, planes):
    codec = BinaryCodec(dim)
    assert (codec.planes, codec.fields[0].shape) == (planes, (planes * 8,))


@by_codec
def test_parameters_make_the_same_codec_again(name):
    codec, rows = make(name, 20), hard_rows("common", 1, 30, 20)
    again = codec_of(name, 20, codec.seed, codec.parameters)
    assert bits(again.encode(rows)) == bits(codec.encode(rows))


def test_another_seed_is_another_rotation():
    rows = hard_rows("common", 1, 30, 20)
    one, other = (codec_of("binary", 20, seed).encode(rows)[0] for seed in (1, 2))
    assert (one != other).any()


@pytest.mark.parametrize("dim", [64, 256])
def test_a_shift_of_all_rows_costs_no_bits(dim):
    rows = hard_rows("common", 1, 200, dim)
    errors = []
    for shift in (0, 5, 50):
        shifted = rows + np.float32(shift)
        codec = codec_of("binary", dim).trained(shifted)
        errors.append(np.square(codec.decode(codec.encode(shifted)) - shifted).sum())
    assert max(errors) < 1.03 * min(errors)
    plain = BinaryCodec(dim)
    assert np.square(plain.decode(plain.encode(shifted)) - shifted).sum() > 100 * max(errors)


@cache
def orthogonal(dim, seed):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(dim, dim)))[0]


def ideal_estimates(rows, queries, metric, bits_each, seed):
    """Scores by levels of these rows that no implementation can better: float64 throughout.

    Levels after a drawn orthogonal matrix, exact heights over the mean's direction, queries that
    are not rounded, and the shrinkage measured on the rows themselves.
    """
    rows, queries = rows.astype(np.float64), queries.astype(np.float64)
    axis = rows.mean(axis=0) / np.linalg.norm(rows.mean(axis=0))
    turn = orthogonal(rows.shape[1], seed)
    heights, query_heights = rows @ axis, queries @ axis
    flat = (rows - np.outer(heights, axis)) @ turn
    levels = np.sign(flat)
    if bits_each == 2:
        deviations = np.sqrt(np.square(flat).mean(axis=1, keepdims=True))
        levels *= 1 + 2 * (np.abs(flat) > 0.9957 * deviations)  # Max 1960, table II.
    level_squares = np.square(levels).sum(axis=1)
    scales = (flat * levels).sum(axis=1) / level_squares
    kept = (scales**2 * level_squares / np.square(flat).sum(axis=1)).mean()
    flat_queries = (queries - np.outer(query_heights, axis)) @ turn
    products = flat_queries @ (levels * scales[:, None] / kept).T + np.outer(query_heights, heights)
    squares = np.square(heights) + scales**2 * level_squares / kept
    if metric == "euclidean":
        return 2 * products - squares
    return products / np.sqrt(squares) if metric == "cosine" else products


def share_found(best, estimates):
    """The share of the best 10 that are among the 40 highest estimates."""
    proposed = np.argsort(-estimates, axis=1)[:, :40]
    pairs = zip(best.tolist(), proposed.tolist(), strict=True)
    return np.mean([len(set(ten) & set(forty)) for ten, forty in pairs]) / 10


@by_metric
@pytest.mark.parametrize("shift", [0, 50])
@pytest.mark.parametrize(("dim", "bits_each"), [(64, 2), (300, 1)])
def test_binary_estimates_rank_shifted_rows_as_well_as_such_codes_can(
    metric, shift, dim, bits_each
):
    """A share of 0.97 of what ideal codes find: the rest is for the query's 4 bits, and chance.

    16 even levels leave 1.2 % of a query's square (Max 1960, table II), spread over the rows. The
    noise of a row's signs is π/2 − 1 = 0.57 of it, that of two bits 1/0.88 − 1 = 0.14. Added, the
    deviation of estimates grows by 1 or 4 %, and a rank error is at most in proportion to it: with
    0.25 of the best missed by signs 0.003, with 0.03 by two bits 0.001. Two shares of 2,000 hits
    differ by chance by √(2 · 0.25 · 0.75 / 2,000) = 0.014, which is 0.019 of 0.75.
    """
    rows = hard_rows("common", 1, 1_000, dim) + np.float32(shift)
    queries = hard_rows("common", 2, 200, dim) * np.float32(0.5) + rows[:200]
    codec = codec_of("binary", dim).trained(rows)
    best = np.argsort(-exact(rows, queries, metric), axis=1)[:, :10]
    found = share_found(best, scores(codec, codec.encode(rows), queries, metric))
    ideal = [ideal_estimates(rows, queries, metric, bits_each, seed) for seed in range(4)]
    assert found >= 0.97 * np.mean([share_found(best, each) for each in ideal])
    assert bits_each == 1 or found > 0.95


def test_a_centre_of_zeros_and_none_are_the_first_axis():
    rows = hard_rows("common", 1, 50, 40)
    plain, zeros = BinaryCodec(40), codec_of("binary", 40).trained(np.zeros((3, 40), np.float32))
    assert bits(plain.encode(rows)) == bits(zeros.encode(rows))
    assert np.allclose(plain.decode(plain.encode(rows))[:, 0], rows[:, 0], rtol=2e-3, atol=1e-3)


def test_a_row_that_is_nothing_but_height_is_kept_to_sixteen_bits():
    centre = hard_rows("common", 1, 1, 40)
    codec = codec_of("binary", 40).trained(centre)
    words, scales, _ = codec.encode(centre * np.float32(3))
    assert words.tolist() == [[0] * 4]
    assert scales.tolist() == [0.0]
    assert codec.relative_error(centre * np.float32(3)) < 2.0**-30


@pytest.mark.parametrize("name", ["binary", "pq"])
def test_training_repeats_bit_for_bit_and_does_not_change_the_codec(name):
    rows = hard_rows("common", 1, 400, 10)
    untrained = codec_of(name, 10)
    one, other = untrained.trained(rows), untrained.trained(rows.copy())
    assert untrained.needs_training
    assert one.parameters[one.learns].tobytes() == other.parameters[one.learns].tobytes()


def test_training_brings_centroids_closer_than_drawn_rows():
    rows = hard_rows("common", 1, 3_000, WIDTH)
    drawn = PqCodec(WIDTH).trained(rows[:CENTROIDS])
    assert drawn.relative_error(rows[:CENTROIDS]) == 0.0
    assert PqCodec(WIDTH).trained(rows).relative_error(rows) < 0.9 * drawn.relative_error(rows)


def test_a_codebook_s_error_grows_as_rows_drift():
    rows = hard_rows("common", 1, 2_000, 16)
    codec = PqCodec(16).trained(rows)
    fresh, aged = codec.relative_error(rows), codec.relative_error(rows + np.float32(4))
    assert 0.0 < fresh < 0.2 < aged


@pytest.mark.parametrize(("name", "error"), [("int8", 2e-4), ("binary", 0.40)])
def test_codecs_without_training_lose_this_share_at_most(name, error):
    codec = codec_of(name, 128)
    assert 0 < codec.relative_error(hard_rows("common", 0, 500, 128)) < error
    assert codec.relative_error(np.zeros((2, 128), np.float32)) == 0.0


def test_among_equal_centroids_the_lowest_is_chosen():
    codec = PqCodec(WIDTH).trained(np.ones((3, WIDTH), np.float32))
    numbers, norms = codec.encode(np.full((5, WIDTH), 7, np.float32))
    assert numbers.tolist() == [[0]] * 5
    assert norms.tolist() == [2.0] * 5


def test_a_huge_row_in_the_batch_does_not_drown_the_others():
    small = hard_rows("common", 1, 300, 8) * np.float32(1e-3)
    codec = PqCodec(8).trained(small)
    batch = np.concatenate([small, np.full((1, 8), 2e18, np.float32)])
    alone = [codec.encode(row[None])[0] for row in batch]
    assert codec.encode(batch)[0].tobytes() == np.concatenate(alone).tobytes()


@given(seed=seeds, kind=kinds)
def test_pq_chooses_the_centroid_with_the_least_sum_of_squares(seed, kind):
    codec = make("pq", WIDTH, kind, seed % 2)
    rows = rows_of(kind, seed, WIDTH)
    book = codec.parameters["codebook"][0].astype(np.float64)
    squares = np.square(rows.astype(np.float64)[:, None] - book).sum(axis=2)
    assert codec.encode(rows)[0][:, 0].tolist() == squares.argmin(axis=1).tolist()


def test_an_untrained_codec_says_what_to_do():
    with pytest.raises(InvalidOption, match=r"use the codec that `trained\(rows\)` returns"):
        codec_of("pq", 4).encode(np.zeros((1, 4), np.float32))
    for name in ("binary", "pq"):
        with pytest.raises(InvalidOption, match="at least one row"):
            codec_of(name, 4).trained(np.zeros((0, 4), np.float32))


@pytest.mark.parametrize(("name", "nearest"), [("int4", "int8"), ("binery", "binary"), ("PQ8", "")])
def test_an_unknown_codec_is_refused_with_the_nearest_name(name, nearest):
    with pytest.raises(InvalidOption, match=f"got '{name}'.* use '{nearest}"):
        codec_of(name, 4)


def test_parameters_of_another_dimension_are_refused():
    with pytest.raises(InvalidOption, match="centre"):
        codec_of("binary", 4, parameters={"centre": np.zeros(5, np.float32)})
    with pytest.raises(InvalidOption, match="finite"):
        codec_of("binary", 1, parameters={"centre": np.full(1, np.nan, np.float32)})
    with pytest.raises(InvalidOption, match="codebook"):
        codec_of("pq", 4, parameters={"codebook": np.zeros((2, 256, WIDTH), np.float32)})


def test_a_codec_is_abstract_until_it_encodes():
    with pytest.raises(TypeError, match="abstract"):
        Codec(4)
