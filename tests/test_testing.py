"""The helpers that the package offers to other people's tests."""

import re

import numpy as np
import pytest

from vectorkit import KEEP, CpuCollection, sim
from vectorkit.sim.world.trace_events import NodeStarted
from vectorkit.testing import assert_same_trace, count_traces


def test_traces_of_the_block_are_counted_and_no_others():
    collection = CpuCollection(dim=29)
    collection.upsert([1], np.ones((1, 29)))
    with count_traces() as traces:
        collection.search(np.ones(29))
        collection.search(np.zeros(29))
    collection.delete([1])
    assert dict(traces) == {"write": 1, "search": 1}


def test_equal_runs_have_the_same_trace():
    assert_same_trace(*(sim.simulate(duration_ms=300, seed=7) for _ in range(2)))


def test_the_first_difference_of_two_traces_is_shown():
    link = sim.ClusterOptions(replicas=1, link=sim.Link(delay_ms=1, jitter_ms=2))
    runs = [sim.simulate(link, duration_ms=300, seed=seed) for seed in (7, 8)]
    first, second = (run.trace.events for run in runs)
    place = next(i for i, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1])
    expected = f"the traces part at event {place}:\n  {first[place]}\n  {second[place]}"
    with pytest.raises(AssertionError, match=re.escape(expected)):
        assert_same_trace(*runs)


def test_a_trace_that_goes_on_differs_where_the_other_ends():
    runs = [sim.simulate(duration_ms=ms, seed=7) for ms in (300, 300)]
    runs[1].trace.add(NodeStarted(1, "node-0", "restart", boot=2))
    with pytest.raises(AssertionError, match=f"part at event {len(runs[0].trace)}:\n  None\n"):
        assert_same_trace(*runs)


def test_keep_shows_its_name():
    assert repr(KEEP) == "KEEP"
