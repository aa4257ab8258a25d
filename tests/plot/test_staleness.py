"""The staleness plot: empirical distributions, a curve for each policy or node."""

from itertools import pairwise

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tests.plot.health_frames import legend_texts
from vectorkit import frames, sim
from vectorkit.frames import of_rows
from vectorkit.plot import plot_staleness
from vectorkit.plot.style import POLICY_COLOURS, node_colour
from vectorkit.replication.routing import POLICIES


@pytest.fixture
def ax():
    return Figure().subplots()


def reads(*rows):
    """(node, policy, staleness_ms) each; None is a read without an answer."""
    empty = dict.fromkeys(frames.READS)
    full = [
        {**empty, "request": 1, "node": node, "policy": policy, "staleness_ms": stale_ms}
        for node, policy, stale_ms in rows
    ]
    return of_rows([list(row.values()) for row in full], frames.READS)


def curves(ax):
    return {
        line.get_label(): list(zip(*(data.tolist() for data in line.get_data()), strict=True))
        for line in ax.lines
    }


MIXED = (
    ("node-1", "nearest", 40.0),
    ("node-0", "master", 0.0),
    ("node-1", "nearest", 0.0),
    ("node-1", "nearest", None),
    ("node-2", "nearest", 5.0),
    ("node-2", "nearest", 5.0),
)


def test_every_policy_has_a_colour_of_its_own():
    assert set(POLICY_COLOURS) == set(POLICIES)
    assert len(set(POLICY_COLOURS.values())) == len(POLICIES)


def test_a_curve_rises_by_the_share_of_a_read_at_its_staleness(ax):
    plot_staleness(reads(*MIXED * 20), ax=ax)
    found = curves(ax)
    assert found["master (20)"] == [(0, 0), *((0, n / 20) for n in range(1, 21)), (52, 1)]
    nearest = found["nearest (80)"]
    assert nearest[0] == (0, 0)
    ends = [max(share for stale_ms, share in nearest if stale_ms == at) for at in (0, 5, 40, 52)]
    assert ends == [0.25, 0.75, 1, 1]
    assert len(nearest) == 82
    assert {line.get_drawstyle() for line in ax.lines} == {"steps-post"}
    assert [line.get_color() for line in ax.lines] == [
        POLICY_COLOURS["master"],
        POLICY_COLOURS["nearest"],
    ]


def test_by_node_there_is_a_curve_a_node_in_its_colour(ax):
    plot_staleness(reads(*MIXED * 20), by="node", ax=ax)
    assert list(curves(ax)) == ["node-0 (20)", "node-1 (40)", "node-2 (40)"]
    assert [line.get_color() for line in ax.lines] == [
        node_colour(f"node-{i}", ax) for i in range(3)
    ]
    assert ax.get_legend().get_title().get_text() == "node (reads)"


def test_neighbouring_curves_differ_in_their_dashes_too(ax):
    plot_staleness(
        reads(*(("node-0", policy, 1.0) for policy in POLICIES for _ in range(20))), ax=ax
    )
    dashes = [line.get_linestyle() for line in ax.lines], [line._dash_pattern for line in ax.lines]
    looks = list(zip(*dashes, strict=True))
    assert all(one != other for one, other in pairwise(looks))


def test_axes_have_their_units_and_plain_numbers(ax):
    plot_staleness(reads(("node-0", "nearest", 2_000.0)), ax=ax)
    FigureCanvasAgg(ax.figure).draw()
    assert ax.get_xlabel() == "staleness (ms)"
    assert ax.get_ylabel() == "share of reads at most this stale"
    low, high = ax.get_xlim()
    places = zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
    shown = [text.get_text() for place, text in places if low <= place <= high]
    assert shown == ["0", "1", "10", "100", "1,000"]
    assert (ax.get_xscale(), low, high) == ("symlog", 0, 2_600)


def test_fewer_than_twenty_reads_have_no_curve_and_are_counted(ax):
    few = [("node-0", "master", 1.0)] * 19
    plot_staleness(reads(*few, *[("node-1", "nearest", 2.0)] * 20), ax=ax)
    assert [len(points) for points in curves(ax).values()] == [0, 22]
    assert legend_texts(ax) == ["master (19, too few)", "nearest (20)"]
    assert ax.texts[:] == []


def test_where_all_have_too_few_reads_the_axes_say_so(ax):
    plot_staleness(reads(*[("node-0", "master", 1.0)] * 19), ax=ax)
    said = " ".join(ax.texts[0].get_text().split())
    assert said == "Too few reads were answered for a curve: wanted 20, got 19."


def test_a_frame_without_rows_gives_an_empty_plot(ax):
    assert plot_staleness(reads(), ax=ax) is ax
    assert (curves(ax), legend_texts(ax), ax.get_xlim()) == ({}, [], (0, 13))


def test_reads_of_a_real_run_that_were_answered_are_all_there(ax):
    run = sim.simulate(
        sim.ClusterOptions(replicas=2),
        workload=sim.Workload(
            writes_per_s=20, reads_per_s=40, clients=3, source="uniform:20x4", read_policy="nearest"
        ),
        duration_ms=1_000,
    )
    assert run.plot_staleness(by="node", ax=ax) is ax
    count = sum(len(points) - 2 for points in curves(ax).values())
    assert count == (run.reads["outcome"] == "ok").sum() > 100


def test_given_axes_are_used_and_pyplot_has_no_figure_of_its_own(ax):
    before, settings = plt.get_fignums(), dict(mpl.rcParams)
    assert plot_staleness(reads(*MIXED), ax=ax) is ax
    assert (plt.get_fignums(), dict(mpl.rcParams)) == (before, settings)
