"""The life of writes: quantiles of the time to each stage, and how many got there."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from vectorkit import frames, sim
from vectorkit.frames import of_rows
from vectorkit.plot import plot_operation_life
from vectorkit.plot.operations import STAGES
from vectorkit.replication import ReplicationOptions

USUAL = [each for each in STAGES if not each.startswith("visible")]
"""The stages where readers see at once what is applied."""


@pytest.fixture
def ax():
    return Figure().subplots()


def operations(*rows):
    """Each a dict of the times that are not missing."""
    empty = dict.fromkeys(frames.OPERATIONS) | {
        "epoch": 1,
        "offset": 1,
        "copy_count": 1,
    }
    return of_rows([list({**empty, **row}.values()) for row in rows], frames.OPERATIONS)


def life(invoked_ms, *after_ms):
    """A write that reached each stage so long after it was asked for."""
    times = zip(USUAL, after_ms, strict=False)
    return {"invoked_ms": invoked_ms, **{name: invoked_ms + after for name, after in times}}


def names(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


def test_every_stage_is_a_column_of_the_frame_and_all_of_them_are_drawn():
    times = {name for name in frames.OPERATIONS if "_ms" in name}
    assert set(STAGES) == times - {"invoked_ms"}


def test_dots_are_medians_and_bars_and_numbers_are_quantiles(ax):
    rows = [life(100.0 * i, 1.0, 2.0, 4.0, 4.0 + i, 5.0, 8.0) for i in range(101)]
    plot_operation_life(operations(*rows), ax=ax)
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines] == [
        (pytest.approx(middle), row) for row, middle in enumerate([1, 2, 4, 54, 5, 8])
    ]
    ends = [each.get_segments()[0][:, 0].tolist() for each in ax.collections]
    assert ends[6:8] == [pytest.approx([4, 103]), pytest.approx([14, 94])]
    texts = [text.get_text() for text in ax.texts]
    assert texts[3] == "54.0 · 94.0 · 103"
    assert texts[-1] == "50 % · 90 % · 99 %"


def test_a_stage_that_not_all_writes_reached_says_how_many_did(ax):
    rows = [life(0.0, 1, 2, 3, 4, 5, 6), life(10.0, 1, 2), life(20.0, 1)]
    plot_operation_life(operations(*rows), ax=ax)
    assert names(ax) == [
        "written",
        "flushed by master\n(2 of 3)",
        "applied on first replica\n(1 of 3)",
        "applied on last replica\n(1 of 3)",
        "confirmed\n(1 of 3)",
        "answered\n(1 of 3)",
    ]


def test_writes_of_clients_count_alone_and_others_where_there_are_none(ax):
    by_hand = {"written_ms": 5.0, "flushed_ms": 6.0}
    plot_operation_life(operations(by_hand, life(10.0, 2, 3, 4, 5, 6, 7)), ax=ax)
    assert [line.get_xdata()[0] for line in ax.lines] == [2, 3, 4, 5, 6, 7]
    assert ax.get_xlabel() == "time since the write was requested (ms)"
    alone = Figure().subplots()
    plot_operation_life(operations(by_hand), ax=alone)
    assert [line.get_xdata()[0] for line in alone.lines] == [0, 1]
    assert alone.get_xlabel() == "time since the write was written (ms)"


def test_stages_that_are_far_apart_stand_on_a_logarithmic_axis(ax):
    plot_operation_life(operations(life(0.0, 2, 3, 4, 5, 6, 99)), ax=ax)
    assert ax.get_xscale() == "linear"
    assert ax.get_xlim() == (0, pytest.approx(108.9))
    far = Figure().subplots()
    plot_operation_life(operations(life(0.0, 2, 3, 4, 5, 6, 101)), ax=far)
    assert far.get_xscale() == "log"
    assert far.get_xlim() == (pytest.approx(1.4), pytest.approx(111.1))


def test_a_frame_without_rows_gives_an_empty_plot(ax):
    assert plot_operation_life(operations(), ax=ax) is ax
    assert (ax.lines[:], names(ax)) == ([], [STAGES[each] for each in USUAL])


def test_the_median_answer_of_a_real_run_takes_two_ways_and_a_flush(ax):
    run = sim.simulate(
        sim.ClusterOptions(replicas=1, link=sim.Link(delay_ms=5), disk=sim.Disk(fsync_ms=1)),
        workload=sim.Workload(writes_per_s=40, source="uniform:20x4"),
        duration_ms=1_000,
    )
    assert run.plot_operation_life(ax=ax) is ax
    medians = [line.get_xdata()[0] for line in ax.lines]
    assert np.array(medians) == pytest.approx([5, 6, 11, 11, 6, 11])


def test_given_axes_are_used_and_pyplot_has_no_figure_of_its_own(ax):
    before, settings = plt.get_fignums(), dict(mpl.rcParams)
    assert plot_operation_life(operations(life(0.0, 1)), ax=ax) is ax
    assert (plt.get_fignums(), dict(mpl.rcParams)) == (before, settings)


def test_what_readers_see_is_a_stage_only_where_it_comes_later(ax):
    load = sim.Workload(writes_per_s=20, source="uniform:20x4")
    protocol = ReplicationOptions(refresh_ms=100)
    run = sim.simulate(
        sim.ClusterOptions(replicas=2, replication=protocol), workload=load, duration_ms=1_500
    )
    delay_ms = run.operations["visible_ms_last"] - run.operations["applied_ms_last"]
    assert delay_ms.min() > 0
    assert delay_ms.max() == 96
    plot_operation_life(run.operations, ax=ax)
    assert "visible on last replica\n(29 of 30)" in names(ax)  # The run ended before the last was.
