"""A collection works under any JAX setting of its caller, and inside every transformation."""

import warnings
from contextlib import contextmanager, nullcontext
from functools import cache, partial
from operator import attrgetter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compute_on import compute_on
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import vectorkit as vk
from tests.interrupts import files_of, interrupted_at, points_of
from vectorkit.collections import readable
from vectorkit.collections.execution import guard, jax_context
from vectorkit.collections.execution.jax_context import plain_jax
from vectorkit.errors import VectorKitError

DEVICES = jax.devices()
ROW = jax.make_mesh((4,), ("x",))
SQUARE = jax.make_mesh((2, 2), ("a", "b"))
IMPLICIT = Mesh(np.array(DEVICES), ("rows",))

KINDS = {
    "cpu": lambda: vk.CpuCollection(dim=4),
    "gpu": lambda: vk.GpuCollection(dim=4, device=DEVICES[1]),
    "sharded": lambda: vk.ShardedCollection(dim=4, metric="dot"),
    "int8": lambda: vk.QuantizedCollection(dim=4, rows="host", device=DEVICES[2]),
    "binary": lambda: vk.QuantizedCollection(dim=4, codec="binary"),
    "pq": lambda: vk.QuantizedCollection(dim=4, codec="pq", rows="none"),
}
ROWS = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
OWN = np.ones(4, np.float32)


@contextmanager
def old_mesh():
    """`with mesh:`, which JAX deprecates and old notebooks are full of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        IMPLICIT.__enter__()
    try:
        yield
    finally:
        IMPLICIT.__exit__(None, None, None)


def over_shards(function):
    rows = jax.device_put(OWN, NamedSharding(ROW, PartitionSpec("x")))
    specs = PartitionSpec("x")
    jax.shard_map(function, mesh=ROW, in_specs=specs, out_specs=specs)(rows)


def called_back(function, values):
    shape = jax.ShapeDtypeStruct(values.shape, values.dtype)
    return jax.pure_callback(lambda x: np.asarray(function(x)), shape, values)


TRANSFORMATIONS = {
    "jit": lambda f: jax.jit(f)(OWN),
    "eval_shape": lambda f: jax.eval_shape(f, OWN),
    "make_jaxpr": lambda f: jax.make_jaxpr(f)(OWN),
    "scan": lambda f: jax.lax.scan(lambda x, y: (f(x), y), OWN, OWN),
    "cond": lambda f: jax.lax.cond(True, f, lambda x: x, OWN),
    "vmap": lambda f: jax.vmap(f)(OWN),
    "vmap with a named axis": lambda f: jax.vmap(f, axis_name="rows")(OWN),
    "pmap": lambda f: jax.pmap(f, axis_name="rows")(np.ones((4, 2), np.float32)),
    "shard_map": over_shards,
    "grad": lambda f: jax.grad(lambda x: f(x).sum())(OWN),
    "linearize": lambda f: jax.linearize(f, OWN),
    "checkpoint": lambda f: jax.checkpoint(f)(OWN),
    "jit of vmap of grad": lambda f: jax.jit(jax.vmap(jax.grad(f)))(OWN),
    "pure_callback": lambda f: jax.block_until_ready(called_back(f, OWN)),
    "pure_callback in jit": lambda f: jax.block_until_ready(jax.jit(partial(called_back, f))(OWN)),
}
SETTINGS = {
    "compute_on": partial(compute_on, "device_host"),
    "debug_infs": partial(jax.debug_infs, True),
    "debug_nans": partial(jax.debug_nans, True),
    "default_device": partial(jax.default_device, DEVICES[3]),
    "default_matmul_precision": partial(jax.default_matmul_precision, "bfloat16"),
    "default_prng_impl": partial(jax.default_prng_impl, "rbg"),
    "disable_jit": jax.disable_jit,
    "enable_checks": partial(jax.enable_checks, True),
    "enable_x64": partial(jax.enable_x64, True),
    "ensure_compile_time_eval": jax.ensure_compile_time_eval,
    "log_compiles": partial(jax.log_compiles, True),
    "numpy_dtype_promotion": partial(jax.numpy_dtype_promotion, "strict"),
    "numpy_rank_promotion": partial(jax.numpy_rank_promotion, "raise"),
    "set_mesh": partial(jax.set_mesh, ROW),
    "set_mesh of two axes": partial(jax.set_mesh, SQUARE),
    "set_mesh of implicit axes": partial(jax.set_mesh, IMPLICIT),
    "transfer_guard": partial(jax.transfer_guard, "disallow"),
    "transfer_guard of explicit ones": partial(jax.transfer_guard, "disallow_explicit"),
    "use_abstract_mesh": partial(jax.sharding.use_abstract_mesh, ROW.abstract_mesh),
    "with mesh": old_mesh,
}
NESTED = {
    "set_mesh, shard_map": ("set_mesh", "shard_map"),
    "set_mesh, vmap with a named axis": ("set_mesh", "vmap with a named axis"),
    "enable_x64, jit": ("enable_x64", "jit"),
    "debug_infs, scan": ("debug_infs", "scan"),
}


def inside(name, body):
    """Run `body` once in the context of this name; what it returns."""
    setting, transformation = NESTED.get(name, (name, name))
    found = []

    def traced(x):
        if not found:
            found.append(body())
        return x

    with SETTINGS.get(setting, nullcontext)():
        if transformation in TRANSFORMATIONS:
            TRANSFORMATIONS[transformation](traced)
        else:
            traced(OWN)
    return found[0]


def made(kind):
    collection = KINDS[kind]()
    collection.reserve(256)  # So that few programs are compiled.
    names = [f"row {slot}" for slot in range(6)]
    collection.upsert(names, ROWS[:6], payloads=[{"n": slot} for slot in range(6)])
    return collection


def calls(c, folder):
    """What every public call answers, as plain values."""
    answers = [
        c.upsert(["a", "row 1"], ROWS[10:12], payloads=[{"n": 9}, None]),
        c.update_vector("row 2", ROWS[20]),
        list(c.search(ROWS[0], 3)),
        c.insert(["b"], ROWS[12:13]),
        c.update_vectors(["row 3", "row 4"], ROWS[30:32]),
        c.update("row 5", payload={"n": 100}, vector=ROWS[40]),
        [list(each) for each in c.search_many(ROWS[:3], 3, where={"n": {"gte": 3}})],
        list(c.search(ROWS[0], 3, where=lambda columns: columns["n"] > 3)),
        c.delete(["row 0"]),
        c.get("row 1").vector.tobytes(),
        ("row 2" in c, c.ids(), c.payload("row 5"), c.digest()),
    ]
    before = c.snapshot()
    path = folder / "saved.vk"
    before.save(path)
    device = None if c.kind in ("cpu", "sharded") else c.device
    answers += [
        vk.load(path, device=device).digest(),
        c.update_vector("row 2", ROWS[22]),
        (before.digest(), before.vectors().tobytes(), list(before.search(ROWS[1], 3))),
        c.upsert(range_of(200), ROWS[:200]),
        c.upsert(range_of(150), ROWS[50:200]),
        [batch.vectors.tobytes() for batch in c.batches(100)],
        (c.memory().row_count, len(c.to_frame())),
        vk.diff(before, c, ROWS[:2], 3)["entered"].tolist(),
        c.audit(5)["rank"].tolist() if c.kind == "cpu" else None,
        c.codec_report() if c.kind == "quantized" else None,
        c.retrain() if c.config.codec == "pq" else None,
        c.delete(range_of(100)),
        [c.update_vector("a", ROWS[slot]) for slot in range(3)],
        (list(c.search(ROWS[3], 3)), c.digest()),
        (c.reserve(512), c.snapshot().digest()),
    ]
    return answers


def range_of(count):
    return [f"new {number}" for number in range(count)]


@cache
def expected(kind, folder):
    return calls(made(kind), folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("saved")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*TRANSFORMATIONS, *SETTINGS, *NESTED])
def test_every_call_answers_as_in_plain_python_in_the_context_of(name, kind, folder):
    collection = made(kind)
    assert inside(name, lambda: calls(collection, folder)) == expected(kind, folder)
    assert_healthy(collection)
    assert_healthy(inside(name, lambda: made(kind)))


def assert_healthy(collection):
    """Reads, writes and the digest work, outside of any context."""
    assert collection.digest() == collection.snapshot().digest()
    collection.update_vector("row 2", ROWS[99])
    if collection.config.rows != "none":
        assert collection.get("row 2").vector.tolist() == ROWS[99].tolist()
    assert len(collection.search(ROWS[0], 3)) == 3
    assert collection.digest() == collection.snapshot().digest()


def test_leaks_of_tracers_are_checked_for_without_finding_any(folder):
    collection = made("cpu")
    with jax.checking_leaks():
        assert inside("jit", lambda: calls(collection, folder)) == expected("cpu", folder)
    assert_healthy(collection)


def test_settings_of_the_whole_process_are_borne(folder):
    collection = made("cpu")
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_transfer_guard", "disallow")
    try:
        assert calls(collection, folder) == expected("cpu", folder)
        assert jax.dtypes.canonicalize_dtype(float) == np.float64
    finally:
        jax.config.update("jax_enable_x64", False)
        jax.config.update("jax_transfer_guard", "allow")
    assert_healthy(collection)


def test_a_buffer_that_fills_up_while_jax_traces_is_flushed_for_good():
    collection = vk.CpuCollection(dim=4)
    names = [f"row {slot}" for slot in range(1_100)]
    collection.upsert(names, np.zeros((1_100, 4), np.float32))

    def fill(x):
        for slot, name in enumerate(names):
            collection.update_vector(name, np.full(4, slot, np.float32))
        return x

    jax.jit(fill)(OWN)
    assert collection.get("row 1099").vector.tolist() == [1099.0] * 4
    assert collection.digest() == collection.snapshot().digest()


TRACED = {
    "upsert": lambda c, x: c.upsert(["z"], x[None]),
    "upsert of a list": lambda c, x: c.upsert(["z"], [[x[0], 1, 2, 3]]),
    "upsert of a payload": lambda c, x: c.upsert(["z"], ROWS[:1], [{"n": x}]),
    "upsert of ids": lambda c, x: c.upsert(x.astype(int), ROWS[:4]),
    "insert": lambda c, x: c.insert(["z"], [x]),
    "update_vector": lambda c, x: c.update_vector("row 1", x),
    "update_vectors": lambda c, x: c.update_vectors(["row 1"], x[None]),
    "update": lambda c, x: c.update("row 1", vector=x),
    "update of a payload": lambda c, x: c.update("row 1", payload={"n": x[0]}),
    "delete": lambda c, x: c.delete(x.astype(int)),
    "get": lambda c, x: c.get(x[0].astype(int)),
    "search": lambda c, x: c.search(x),
    "search for k": lambda c, x: c.search(ROWS[0], x[0].astype(int)),
    "search where": lambda c, x: c.search(ROWS[0], where={"n": x[0]}),
    "search where, at least": lambda c, x: c.search(ROWS[0], where={"n": {"gte": x[0]}}),
    "search where, by a function": lambda c, x: c.search(ROWS[0], where=lambda _: x > 0),
    "search_many": lambda c, x: c.search_many(x[None]),
    "search of a snapshot": lambda c, x: c.snapshot().search(x),
    "diff": lambda c, x: vk.diff(c, c, x[None]),
    "reserve": lambda c, x: c.reserve(x[0].astype(int)),
    "dim": lambda c, x: vk.CpuCollection(dim=x[0].astype(int)),
}


@pytest.mark.parametrize("transform", [jax.jit, jax.vmap, jax.grad, jax.checkpoint])
@pytest.mark.parametrize("call", TRACED.values(), ids=TRACED)
def test_a_traced_value_is_refused_before_anything_changes(call, transform):
    collection = made("cpu")
    before = collection.version, collection.digest()
    values = jnp.ones((2, 4)) if transform is jax.vmap else jnp.ones(4)

    def traced(x):
        call(collection, x)
        return x.sum()

    if transform is jax.checkpoint:
        transform = jax.grad
        traced = jax.checkpoint(traced)
    with pytest.raises(VectorKitError):
        transform(traced)(values)
    assert (collection.version, collection.digest()) == before
    assert_healthy(collection)


def test_the_refusal_of_a_traced_vector_says_what_to_do():
    collection = made("cpu")
    with pytest.raises(vk.errors.InvalidVector) as refused:
        jax.jit(lambda x: collection.search(x).scores)(OWN)
    assert str(refused.value) == (
        "vectors must have values, but JAX is tracing: got a traced array, "
        "JitTracer(float32[4]), wanted a NumPy array, a list of numbers, or a JAX array from "
        "outside of the function; call this outside of the function that jit, vmap, grad or scan "
        "transforms"
    )


def test_the_refusal_of_a_traced_value_says_that_jax_is_tracing():
    collection = made("cpu")
    for call in (
        lambda x: collection.insert(["traced"], [OWN], payloads=[{"year": x}]),
        lambda x: collection.search(OWN, where={"year": x}),
        lambda x: collection.search(OWN, where={"year": {"in": [x]}}),
    ):
        with pytest.raises((vk.errors.InvalidPayload, vk.errors.InvalidFilter)) as refused:
            jax.jit(call)(1)
        assert "JAX is tracing and this has no value yet" in refused.value.remedy


read_settings = attrgetter("jax_enable_x64", "jax_debug_infs", "jax_transfer_guard_host_to_device")


@pytest.mark.parametrize("query", [ROWS[0], "no vector"], ids=["answered", "refused"])
def test_the_caller_has_its_own_settings_again_after_a_call(query):
    collection = made("cpu")
    strict = jax.debug_infs(True), jax.transfer_guard("disallow")
    with jax.enable_x64(True), strict[0], strict[1], jax.set_mesh(ROW):
        try:
            collection.search(query)
        except VectorKitError:
            assert query == "no vector"
        assert read_settings(jax.config) == (True, True, "disallow")
        assert jax.sharding.get_mesh() == ROW
        assert jax.sharding.get_abstract_mesh() == ROW.abstract_mesh


ENTERING = files_of(guard, jax_context, readable)
"""The code that enters plain settings, and its callers: settings change nowhere else."""


@pytest.mark.parametrize("name", ["enable_x64", "debug_infs", "set_mesh", "use_abstract_mesh"])
def test_the_caller_has_its_own_settings_again_after_an_interrupt(name):
    collection = made("cpu")
    search = partial(collection.search, ROWS[0], 1)
    search()  # What runs at the first call only is no point of the next.
    with SETTINGS[name]():
        search()
        before = read_settings(jax.config), jax.sharding.get_abstract_mesh()
        for point in points_of(search, ENTERING):
            assert interrupted_at(point, search, ENTERING)
            assert (read_settings(jax.config), jax.sharding.get_abstract_mesh()) == before
        assert search().ids == ("row 0",)
    assert_healthy(collection)


def test_tracing_goes_on_after_a_call():
    collection = made("cpu")
    add_best = jax.jit(lambda x: x + collection.search(ROWS[0], 1).scores[0])
    assert add_best(1.0) == pytest.approx(2.0)
    assert jax.grad(lambda x: x * len(collection.search(ROWS[0], 3)))(1.0) == 3.0


def test_a_subscriber_runs_under_the_settings_of_the_caller():
    store, seen = vk.VectorStore(), []
    words = store.create_collection("words", dim=4)
    store.subscribe(lambda _: seen.append(jax.config.jax_enable_x64))
    with jax.enable_x64(True):
        words.upsert(["a"], ROWS[:1])
    words.upsert(["b"], ROWS[:1])
    assert seen == [True, False]


def test_stores_and_caches_work_while_jax_traces():
    store = vk.VectorStore(cache=vk.QueryCache())

    def use(x):
        words = store.create_collection("words", dim=4, kind="quantized", codec="pq")
        words.upsert(["a", "b"], ROWS[:2])
        words.retrain()
        plain = store.create_collection("plain", dim=4)
        plain.upsert(["a", "b"], ROWS[:2])
        for vector in -ROWS[:3]:
            plain.update_vector("a", vector)
            assert store.search("plain", ROWS[1], 1).ids == ("b",)
        return x

    jax.jit(jax.vmap(use))(OWN)
    assert store.search("words", ROWS[0], 1).ids == ("a",)
    assert store.digest() == store.snapshot().digest()
    assert vk.store.store_of(store.snapshot().operations()).digest() == store.digest()


def test_settings_that_only_report_are_left_to_the_caller():
    with jax.log_compiles(True), plain_jax():
        assert jax.config.jax_log_compiles
    with jax.transfer_guard("log"), plain_jax():
        assert jax.config.jax_transfer_guard_host_to_device == "log"
