"""The space-time diagram: what is drawn from when to when, between whom, and what is left out."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from tests.plot.health_frames import legend_texts
from vectorkit import frames, sim
from vectorkit.frames import of_rows
from vectorkit.plot import plot_timeline
from vectorkit.plot.contrast import readable
from vectorkit.plot.style import MESSAGE_COLOURS, node_colour
from vectorkit.plot.timeline import MESSAGE_CLASSES
from vectorkit.replication.protocol.messages import MESSAGE_NAMES

NAN = np.nan


@pytest.fixture
def ax():
    return Figure(figsize=(7, 4)).subplots()


def messages(*rows):
    """(source, target, kind, sent_ms, arrived_ms, lost_ms) each."""
    full = [
        (source, target, kind, 1, 100, sent, arrived, lost, "", False)
        for source, target, kind, sent, arrived, lost in rows
    ]
    return of_rows(full, frames.MESSAGES)


def roles(*rows):
    return of_rows([(*row, "role") for row in rows], frames.ROLES)


def faults(*rows):
    return of_rows([(i, *row, "{}") for i, row in enumerate(rows)], frames.FAULT_WINDOWS)


def slants(ax):
    """Begin and end of each message, by what it is about."""
    return {
        each.get_label(): [np.asarray(s).round(3).tolist() for s in each.get_segments()]
        for each in ax.collections
        if isinstance(each, LineCollection) and each.get_label() in MESSAGE_COLOURS
    }


def marks(ax):
    """On which heights there are arrow heads down, up, and crosses."""
    all_of = [each.get_offsets() for each in ax.collections if isinstance(each, PathCollection)]
    return [np.concatenate(all_of[place::3])[:, 1].round(2).tolist() for place in range(3)]


PAIR = (
    ("node-0", "node-1", "Records", 10.0, 15.0, NAN),
    ("node-1", "node-0", "Ack", 16.0, 21.0, NAN),
)


def test_every_type_of_message_belongs_to_a_class_with_a_colour():
    assert set(MESSAGE_CLASSES) == set(MESSAGE_NAMES)
    assert set(MESSAGE_CLASSES.values()) == set(MESSAGE_COLOURS)


def test_a_message_goes_from_its_sender_when_sent_to_its_target_when_it_came(ax):
    plot_timeline(messages(*PAIR), ax=ax)
    assert slants(ax) == {
        "records": [[[10.0, 0.0], [15.0, 0.93]]],
        "acks": [[[16.0, 1.0], [21.0, 0.07]]],
    }
    assert marks(ax) == [[0.93], [0.07], []]
    assert legend_texts(ax) == ["records", "acks"]


def test_a_lost_message_ends_with_a_cross_where_it_was_lost(ax):
    frame = messages(
        *PAIR,
        ("node-0", "node-1", "Records", 30.0, NAN, 30.0),  # Lost when it was sent: a stub.
        ("node-0", "node-1", "Records", 40.0, NAN, 45.0),  # Lost when it came.
    )
    plot_timeline(frame, ax=ax)
    assert slants(ax)["records"][1:] == [
        [[30.0, 0.0], [31.75, 0.35]],
        [[40.0, 0.0], [45.0, 0.93]],
    ]
    assert marks(ax) == [[0.93], [0.07], [0.35, 0.93]]
    assert legend_texts(ax) == ["records", "acks", "lost"]


def test_a_message_that_is_still_on_its_way_has_no_end(ax):
    plot_timeline(messages(*PAIR, ("node-0", "node-1", "Ack", 50.0, NAN, NAN)), ax=ax)
    assert slants(ax)["acks"][1] == [[50.0, 0.0], [51.75, 0.35]]
    assert marks(ax) == [[0.93], [0.07], []]


def test_only_messages_of_the_window_are_drawn_those_at_its_edges_too(ax):
    moments = [(0, 5), (8, 12), (20, 25), (38, 42), (45, 50)]
    frame = messages(*(("node-0", "node-1", "Ack", *map(float, each), NAN) for each in moments))
    plot_timeline(frame, from_ms=10, to_ms=40, ax=ax)
    assert [start[0] for start, _ in slants(ax)["acks"]] == [8.0, 20.0, 38.0]
    assert ax.get_xlim() == (10, 40)


def test_clients_stand_above_nodes_and_each_in_the_order_of_numbers(ax):
    ends = [("node-10", "client-2"), ("client-10", "node-2")]
    plot_timeline(messages(*((*each, "ClientRead", 1.0, 2.0, NAN) for each in ends)), ax=ax)
    texts = [text.get_text() for text in ax.get_yticklabels()]
    assert texts == ["client-2", "client-10", "node-2", "node-10"]
    assert ax.get_ylim() == (3.5, -0.45)


def test_a_short_window_is_in_milliseconds_and_a_long_one_in_seconds(ax):
    plot_timeline(messages(*PAIR), to_ms=4_999, ax=ax)
    assert (ax.get_xlabel(), ax.get_xlim()) == ("virtual time (ms)", (0, 4_999))
    long = Figure().subplots()
    plot_timeline(messages(*PAIR), to_ms=5_000, ax=long)
    assert (long.get_xlabel(), long.get_xlim()) == ("virtual time (s)", (0, 5))
    assert slants(long)["records"] == [[[0.01, 0.0], [0.015, 0.93]]]


def test_a_node_s_line_tells_its_role_in_the_node_s_colour(ax):
    told = roles(
        ("node-0", 0.0, 20.0, "master", "node-0@1"),
        ("node-0", 20.0, 60.0, "down", None),
        ("node-1", 0.0, 30.0, "replica", None),
        ("node-1", 30.0, 40.0, "candidate", "node-1@2"),
        ("node-1", 40.0, 60.0, "master", "node-1@2"),
    )
    plot_timeline(messages(*PAIR), roles=told, ax=ax)
    drawn = [
        (*np.asarray(line.get_xdata()).tolist(), line.get_ydata()[0], line.get_linewidth())
        for line in ax.lines
        if len(line.get_xdata()) == 2
    ]
    assert drawn == [(0, 20, 0, 5.5), (0, 30, 1, 1.8), (30, 40, 1, 5.5), (40, 60, 1, 5.5)]
    assert [line.get_color() for line in ax.lines] == [node_colour("node-0")] * 2 + [
        node_colour("node-1")
    ] * 3
    (cross,) = [line for line in ax.lines if line.get_marker() == "X"]
    assert (cross.get_xdata()[0], cross.get_ydata()[0]) == (20, 0)
    assert [(text.get_text(), text.xy) for text in ax.texts] == [
        ("node-0@1", (0, 0)),
        ("node-1@2", (40, 1)),
    ]
    assert legend_texts(ax)[2:] == ["master", "replica", "candidate", "goes down"]


def test_a_node_that_is_replaced_while_it_is_down_goes_down_once(ax):
    told = roles(
        ("node-0", 0.0, 20.0, "master", "node-0@1"),
        ("node-0", 20.0, 40.0, "down", None),
        ("node-0", 40.0, 60.0, "down", None),
        ("node-1", 0.0, 10.0, "replica", None),
        ("node-1", 10.0, 60.0, "down", None),
    )
    plot_timeline(messages(*PAIR), roles=told, ax=ax)
    crosses = [line for line in ax.lines if line.get_marker() == "X"]
    assert [(each.get_xdata()[0], each.get_ydata()[0]) for each in crosses] == [(20, 0), (10, 1)]


def test_roles_outside_of_the_window_are_left_out(ax):
    told = roles(
        ("node-0", 0.0, 5.0, "master", "node-0@1"),
        ("node-0", 5.0, 60.0, "down", None),
        ("node-1", 0.0, 70.0, "replica", None),
    )
    plot_timeline(messages(*PAIR), roles=told, from_ms=9, to_ms=25, ax=ax)
    assert legend_texts(ax)[2:] == ["replica"]
    (line,) = [line for line in ax.lines if line.get_marker() != "X"]
    assert list(line.get_xdata()) == [9, 25]


def test_faults_are_shaded_on_the_rows_of_whom_they_befell_within_the_window(ax):
    windows = faults(
        ("Pause", 12.0, 18.0, "node-1"),
        ("Degrade", 5.0, 90.0, None),
        ("Promote", 14.0, 14.0, "node-1"),
        ("Crash", 80.0, 90.0, "node-0"),
    )
    plot_timeline(messages(*PAIR), faults=windows, from_ms=10, to_ms=30, ax=ax)
    boxes = [(p.get_x(), p.get_x() + p.get_width(), p.get_y()) for p in ax.patches]
    assert boxes == [(12, 18, 0.5), (10, 30, 0)]
    assert legend_texts(ax)[2:] == ["Pause, Degrade", "Promote"]
    assert [line.get_xdata()[0] for line in ax.lines] == [14.0]


def test_many_faults_are_counted_in_the_legend(ax):
    windows = faults(*((kind, 1.0, 9.0, "node-1") for kind in ("SlowDisk", "StalledDisk", "Pause")))
    plot_timeline(messages(*PAIR), faults=windows, ax=ax)
    assert legend_texts(ax)[-1] == "SlowDisk, StalledDisk, Pause"
    other = Figure().subplots()
    more = pd.concat([windows, faults(("ClockDrift", 1.0, 9.0, "node-0"))])
    plot_timeline(messages(*PAIR), faults=more, ax=other)
    assert legend_texts(other)[-1] == "4 faults"


def test_a_frame_without_rows_gives_an_empty_plot(ax):
    assert plot_timeline(messages(), roles=roles(), faults=faults(), ax=ax) is ax
    assert (slants(ax), legend_texts(ax), ax.get_xlim()) == ({}, [], (0, 1_000))


def test_the_diagram_of_a_real_run_has_all_its_messages_in_their_colours(ax):
    run = sim.simulate(
        sim.ClusterOptions(replicas=4, link=sim.Link(loss=0.05)),
        workload=sim.Workload(writes_per_s=40, source="uniform:20x4"),
        faults=[sim.Crash(at_ms=500, for_ms=300, node="node-2")],
        duration_ms=1_000,
    )
    assert run.plot_timeline(ax=ax) is ax
    drawn = slants(ax)
    assert sum(map(len, drawn.values())) == len(run.messages) > 200
    colours = {
        each.get_label(): to_rgba(each.get_colors()[0], 1)
        for each in ax.collections
        if each.get_label() in drawn
    }
    want = {name: to_rgba(readable(MESSAGE_COLOURS[name], ax), 1) for name in drawn}
    assert {name: colour[:3] for name, colour in colours.items()} == {
        name: colour[:3] for name, colour in want.items()
    }
    assert {"goes down", "lost", "Crash"} <= set(legend_texts(ax))


def test_given_axes_are_used_and_pyplot_has_no_figure_of_its_own(ax):
    before, settings = plt.get_fignums(), dict(mpl.rcParams)
    assert plot_timeline(messages(*PAIR), ax=ax) is ax
    assert (plt.get_fignums(), dict(mpl.rcParams)) == (before, settings)


def test_without_axes_a_figure_is_as_tall_as_its_rows_need_and_leaves_room_for_them():
    run = sim.simulate(sim.ClusterOptions(replicas=4), duration_ms=200)
    made = plot_timeline(run.messages, roles=run.roles)
    made.figure.canvas.draw()
    assert made.figure.get_size_inches().tolist() == pytest.approx([7.0, 4.8])
    assert made.get_position().width > 0.8
    plt.close(made.figure)
