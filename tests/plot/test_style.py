"""Colours: a node has one in every plot, and no node looks like a state."""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from tests.plot.health_frames import health, steady
from vectorkit.plot import plot_lag
from vectorkit.plot.style import (
    MESSAGE_COLOURS,
    METHOD_COLOURS,
    STATUS_COLOURS,
    cut_windows,
    node_colour,
)
from vectorkit.replication import ReplicaStatus


def test_every_status_has_a_colour():
    assert set(STATUS_COLOURS) == {status.value for status in ReplicaStatus}


def test_ten_nodes_have_ten_colours_and_none_is_that_of_a_status_or_a_method():
    nodes = {node_colour(f"node-{number}") for number in range(10)}
    assert len(nodes) == 10
    assert nodes & {*STATUS_COLOURS.values(), *METHOD_COLOURS.values()} == set()


def test_no_message_looks_like_one_of_the_first_five_nodes_beside_which_it_is_drawn():
    nodes = np.array([to_rgb(node_colour(f"node-{number}")) for number in range(5)])
    messages = np.array([to_rgb(colour) for colour in MESSAGE_COLOURS.values()])
    apart = np.linalg.norm(nodes[:, None] - messages[None], axis=-1)
    assert apart.min() > 0.23  # Of 1.73, from black to white.


def test_a_node_keeps_its_colour_whoever_else_is_drawn():
    alone, together = Figure().subplots(), Figure().subplots()
    plot_lag(health(node_3=steady(500)), ax=alone)
    plot_lag(health(node_1=steady(500), node_2=steady(500), node_3=steady(500)), ax=together)
    assert alone.lines[0].get_color() == together.lines[-1].get_color() == node_colour("node-3")


def test_cut_windows_are_read_from_the_samples():
    pattern = "cc..c.ccc"
    samples = [(1_000 * i, "Connected", each == "c") for i, each in enumerate(pattern)]
    cuts = [(0.0, 2.0), (4.0, 5.0), (6.0, 8.0)]
    assert cut_windows(health(node_1=samples), 1_500) == cuts
    assert cut_windows(health(), 1_500) == []
    assert np.diff(cut_windows(health(node_1=steady(9_000, (3_000, 3_500))), 1_500)).tolist() == [
        [0.5]
    ]


def test_no_cut_is_drawn_where_a_node_was_not_sampled():
    """It was cut off, became master, which is not sampled, and is sampled again as a replica."""
    times_ms = (0, 500, 1_000, 1_500, 6_000, 6_500)
    samples = [(t, "Connected", 500 <= t <= 1_500) for t in times_ms]
    assert cut_windows(health(node_1=samples), 750) == [(0.5, 1.5)]
    alone = [(0, "Connected", True), (6_000, "Connected", True), (6_500, "Connected", False)]
    assert cut_windows(health(node_1=alone), 750) == [(6.0, 6.5)]
