"""the sharded collection is CpuCollection, bit for bit, and rows stay in place."""

import re

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import Mesh

from tests.collections.reference import HARD_ROWS, METRICS, hard_rows, reference_search
from tests.collections.sharded_process import as_cpu, work
from vectorkit.collections import CpuCollection, ShardedCollection
from vectorkit.collections.backends import compiled
from vectorkit.errors import InvalidOption

DEVICES = np.array(jax.devices())
MESHES = {
    "four": Mesh(DEVICES, ("rows",)),
    "three": Mesh(DEVICES[:3], ("rows",)),
    "one": Mesh(DEVICES[:1], ("rows",)),
    "explicit": jax.make_mesh((4,), ("rows",)),
    "two of two by two": Mesh(DEVICES.reshape(2, 2), ("copies", "rows")),
}
by_mesh = pytest.mark.parametrize("mesh", MESHES.values(), ids=MESHES)
by_metric = pytest.mark.parametrize("metric", METRICS)


def make(mesh, dim=4, metric="dot"):
    return ShardedCollection(dim=dim, metric=metric, mesh=mesh, axis="rows")


@by_mesh
def test_every_kind_of_write_and_read_equals_cpu_collection(mesh):
    assert work(as_cpu(make(mesh, dim=5))) == work(CpuCollection(dim=5, metric="dot"))


@by_metric
@settings(max_examples=12)
@given(
    kind=st.sampled_from(sorted(HARD_ROWS)),
    seed=st.integers(0, 2**32 - 1),
    count=st.sampled_from([9, 70]),
    k=st.sampled_from([1, 10, 100]),
    mesh=st.sampled_from(["four", "three"]),
)
def test_sharded_search_equals_the_float64_reference(metric, kind, seed, count, k, mesh):
    rows = hard_rows(kind, seed, count, 3)
    rows[count // 2] = rows[0]
    collection = make(MESHES[mesh], dim=3, metric=metric)
    collection.insert(range(count), rows)
    queries = np.concatenate([hard_rows(kind, seed + 1, 3, 3), rows[:1], -rows[:1]])
    for query, matches in zip(queries, collection.search_many(queries, k), strict=True):
        assert list(matches) == reference_search(rows, query, k, metric)
    collection.delete(range(0, count, 2))
    kept = rows[collection.ids()]
    best = [(collection.ids()[s], x) for s, x in reference_search(kept, queries[0], k, metric)]
    assert list(collection.search(queries[0], k)) == best


@by_metric
@pytest.mark.parametrize("mesh", [MESHES["four"], MESHES["three"]], ids=["four", "three"])
def test_candidates_and_their_ties_are_those_of_one_device(metric, mesh):
    rows = np.random.default_rng(0).choice([-2, 0, 2], size=(60, 3)).astype(np.float32)
    if metric == "cosine":
        rows = np.repeat(np.float32([[2, 0, 0], [0, 0, -2], [0, 2, 0]]), 20, axis=0)
    found = []
    for collection in (make(mesh, 3, metric), CpuCollection(dim=3, metric=metric)):
        collection.insert(range(60), rows)
        view = collection._storage.hold()
        backend, mask = collection._backend, np.arange(60) % 7 > 0
        prepared = backend.prepare(rows[::8])
        found += [backend.search(view.state, prepared, 60, some, 16, 10)() for some in (None, mask)]
    for sharded, single in zip(found[:2], found[2:], strict=True):
        assert [each.tolist() for each in sharded] == [each.tolist() for each in single]


def test_a_row_whose_approximate_score_is_minus_infinity_is_not_lost_among_unused_slots():
    edge = np.float32([1.8e19, 0, 0, 0])
    collection = make(MESHES["four"], metric="euclidean")
    collection.reserve(64)
    collection.insert(range(4), np.tile(edge, (4, 1)))
    assert list(collection.search(-edge, k=10).ids) == [0, 1, 2, 3]


@by_mesh
def test_negative_zeros_and_subnormals_survive_reads_moves_and_growth(mesh):
    collection = make(mesh)
    rows = np.tile(np.array([[-0.0, 1e-45, -1e-40, 0.0]], np.float32), (40, 1))
    collection.insert(range(40), rows)
    collection.delete(range(20))
    assert collection.get(39).vector.tobytes() == rows[0].tobytes()
    collection.reserve(1_000)
    assert collection.snapshot().vectors().tobytes() == rows[:20].tobytes()


@by_mesh
def test_rows_stay_sharded_over_equal_blocks_through_every_kind_of_write(mesh):
    collection = make(mesh)
    placement = collection._backend.placement
    rows = np.random.default_rng(0).normal(size=(400, 4))
    for write in (
        lambda: None,
        lambda: collection.insert(range(200), rows[:200]),
        lambda: collection.update_vector(3, rows[0]),
        lambda: collection.update_vectors(range(150), rows[:150]),
        collection.snapshot,
        lambda: collection.update_vectors(range(150), rows[:150]),
        lambda: collection.delete(range(10)),
        lambda: collection.insert(range(1_000, 1_400), rows),
        lambda: collection.reserve(5_000),
    ):
        write()
        collection.search(np.ones(4))
        state = collection._storage.state
        assert [array.sharding for array in state[0]] == [placement, placement]
        assert collection._storage.capacity % mesh.shape["rows"] == 0
        sizes = {shard.data.shape[0] for shard in state[0][0].addressable_shards}
        assert sizes == {collection._storage.capacity // mesh.shape["rows"]}


def test_capacities_of_three_devices_double():
    collection = make(MESHES["three"])
    collection.insert(range(100), np.ones((100, 4)))
    for number in range(100, 600):
        collection.upsert([number], np.ones((1, 4)))
    grown = [(growth.before, growth.after) for growth in collection._storage.growths]
    assert grown == [(9, 129), (129, 258), (258, 513), (513, 1026)]


def test_the_ninth_row_over_three_devices_fits_without_growth():
    collection, cpu = make(MESHES["three"], dim=5), CpuCollection(dim=5, metric="dot")
    for each in (as_cpu(collection), cpu):
        each.insert(range(9), np.ones((9, 5)))
        each.update_vector(8, np.zeros(5))
    assert collection._storage.growths == []
    assert collection.digest() == cpu.digest()


def compiled_text(name, dim=8, **options):
    collection = make(MESHES["four"], dim=dim)
    collection.reserve(4_096)
    slots, rows = np.zeros(16, np.int32), np.zeros((16, dim), np.float32)
    arguments = {
        "write_in_place": (slots, (rows, np.zeros(16, np.float32))),
        "move_in_place": (slots, slots),
        "grow": (),
        "read": (slots,),
        "search": (rows, np.zeros(16, np.float32), np.int32(9), np.ones(4_096, np.bool_)),
    }[name]
    program, state = getattr(collection._backend._programs, name), collection._storage.state
    jitted = program.jitted if isinstance(program, compiled.Program) else program
    return jitted.lower(state[0], *arguments, **options).compile().as_text()


def largest_transfer(text):
    """The most values in the result of one collective."""
    sent = re.findall(
        r"= (.*?) (?:all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter)"
        r"(?:-start)?\(",
        text,
    )
    shapes = [shape for result in sent for shape in re.findall(r"\[([\d,]*)\]", result)]
    return max((int(np.prod([int(n) for n in s.split(",") if n])) for s in shapes), default=0)


@pytest.mark.parametrize(
    ("name", "options", "values_max"),
    [
        ("write_in_place", {}, 0),
        ("move_in_place", {}, 16 * 8),
        ("grow", {"capacity": 8192}, 0),
        ("read", {}, 16 * 8),
        ("search", {"metric": "euclidean", "width": 16}, 16 * 16 * 8),
    ],
)
def test_only_what_was_asked_for_travels_between_devices(name, options, values_max):
    assert largest_transfer(compiled_text(name, **options)) <= values_max


@pytest.mark.parametrize("name", ["write_in_place", "move_in_place"])
def test_a_write_in_place_keeps_the_memory_of_every_shard(name):
    assert re.search(r"input_output_alias=\{ \{0\}: \(0, .*?\), \{1\}: \(1, ", compiled_text(name))


def test_the_memory_of_the_shards_is_written_in_place():
    collection = make(MESHES["four"])
    collection.insert(range(500), np.ones((500, 4)))
    collection.get(0)

    def places():
        shards = collection._storage.state[0][0].addressable_shards
        return [shard.data.unsafe_buffer_pointer() for shard in shards]

    before = places()
    collection.update_vector(7, np.zeros(4))
    collection.delete([2, 3])
    collection.get(7)
    assert places() == before


def test_all_devices_are_the_default():
    collection = ShardedCollection(dim=2)
    assert (collection.mesh.size, collection.axis) == (len(DEVICES), "rows")


@pytest.mark.parametrize("mesh", ["four", 4, DEVICES, jax.sharding.AbstractMesh((4,), ("rows",))])
def test_what_is_not_a_mesh_is_refused(mesh):
    with pytest.raises(InvalidOption, match=r"wanted a jax\.sharding\.Mesh"):
        ShardedCollection(dim=2, mesh=mesh)


def test_an_axis_that_the_mesh_lacks_is_refused_with_the_nearest():
    with pytest.raises(InvalidOption, match="did you mean 'rows'"):
        ShardedCollection(dim=2, mesh=MESHES["two of two by two"], axis="row")


def test_a_mesh_of_several_axes_needs_one_named():
    with pytest.raises(InvalidOption, match="wanted 'copies' or 'rows'; name the axis"):
        ShardedCollection(dim=2, mesh=MESHES["two of two by two"])
