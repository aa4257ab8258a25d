"""The health plot: a bar for each dwell, short ones visible, cuts shaded in the row they hit."""

from itertools import pairwise

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from tests.plot.health_frames import health, legend_texts, steady
from vectorkit import frames, sim
from vectorkit.frames import of_rows
from vectorkit.plot import plot_health
from vectorkit.plot.style import MASTER_COLOUR, STATUS_COLOURS

STATUS_OF = {colour.lower(): status for status, colour in STATUS_COLOURS.items()}


@pytest.fixture
def ax():
    return Figure().subplots()


def rectangles(ax):
    return [patch for patch in ax.patches if patch.get_height() != 0]


def bars(ax):
    """Row, start, length and status of every bar, in the order in which they were drawn."""
    return [
        (
            round(bar.get_y() + bar.get_height() / 2),
            pytest.approx(bar.get_x()),
            pytest.approx(bar.get_width()),
            STATUS_OF[to_hex(bar.get_facecolor())],
        )
        for bar in rectangles(ax)
        if to_hex(bar.get_facecolor()) in STATUS_OF
    ]


def shades(ax):
    """Row, start and end of every shade."""
    return [
        (round(bar.get_y() + 0.5), bar.get_x(), bar.get_x() + bar.get_width())
        for bar in rectangles(ax)
        if to_hex(bar.get_facecolor()) == to_hex("black") and not bar.get_hatch()
    ]


def placed(ax, is_wanted):
    """Row, start and end of the bars that are wanted."""
    return [
        (
            round(bar.get_y() + bar.get_height() / 2),
            pytest.approx(bar.get_x()),
            pytest.approx(bar.get_x() + bar.get_width()),
        )
        for bar in rectangles(ax)
        if is_wanted(bar)
    ]


def reigns(ax):
    return placed(ax, lambda bar: to_hex(bar.get_facecolor()) == to_hex(MASTER_COLOUR))


def downs(ax):
    return placed(ax, lambda bar: bar.get_hatch() is not None)


def roles(*rows):
    """(node, role, started_ms, ended_ms) each."""
    return of_rows(
        [(node, float(start), float(end), role, None, "role") for node, role, start, end in rows],
        frames.ROLES,
    )


def test_a_status_is_not_joined_over_the_time_in_which_the_node_was_master(ax):
    """Disconnected before its reign and after it, and nobody sampled it between."""
    mine = [*steady(2_000, status="Disconnected"), (9_000, "Disconnected", False)]
    frame = health(node_0=mine, node_1=steady(10_000))
    reign = roles(("node-0", "master", 2_000, 9_000), ("node-1", "replica", 0, 10_000))
    plot_health(frame, roles=reign, ax=ax)
    assert bars(ax)[:2] == [(0, 0.0, 2.0, "Disconnected"), (0, 9.0, 0.12, "Disconnected")]
    assert reigns(ax) == [(0, 2.0, 9.0)]
    assert legend_texts(ax) == ["Connected", "Disconnected", "master"]


def test_without_roles_a_bar_ends_where_nobody_sampled_the_node_any_more(ax):
    mine = [*steady(2_000), *[(ms, "Connected", False) for ms in range(7_000, 10_001, 500)]]
    plot_health(health(node_0=mine, node_1=steady(10_000)), ax=ax)
    assert bars(ax) == [
        (0, 0.0, 2.0, "Connected"),
        (0, 7.0, 3.0, "Connected"),
        (1, 0.0, 10.0, "Connected"),
    ]


def test_the_time_in_which_a_node_was_down_is_hatched_over_what_its_master_believes(ax):
    frame = health(node_1=steady(10_000))
    down = roles(("node-0", "master", 0, 10_000), ("node-1", "down", 3_000, 5_500))
    plot_health(frame, roles=down, ax=ax)
    assert downs(ax) == [(1, 3.0, 5.5)]
    assert reigns(ax) == [(0, 0.0, 10.0)]
    assert bars(ax) == [(1, 0.0, 10.0, "Connected")]
    assert legend_texts(ax) == ["Connected", "master", "down"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["node-0", "node-1"]
    hatched = next(bar for bar in rectangles(ax) if bar.get_hatch())
    others = [bar for bar in rectangles(ax) if bar is not hatched]
    assert hatched.get_zorder() > max(bar.get_zorder() for bar in others)
    assert hatched.get_height() > max(bar.get_height() for bar in others)
    assert to_hex(hatched.get_facecolor(), keep_alpha=True)[-2:] == "00"


def test_changes_of_status_between_the_samples_do_not_break_bars_at_them(ax):
    """Two thirds of the rows are changes: their mean distance is far below the interval."""
    samples = [
        sample
        for ms in range(0, 5_001, 500)
        for sample in (
            (ms, "Connected", False),
            (ms + 1, "Lagging", False),
            (ms + 2, "Connected", False),
        )
    ]
    plot_health(health(node_1=samples), ax=ax)
    lengths = [length for _, _, length, status in bars(ax) if status == "Connected"]
    assert lengths[1:-1] == [0.499] * 10


def test_the_time_axis_ends_with_the_last_role_where_no_sample_is_later(ax):
    plot_health(health(node_1=steady(1_000)), roles=roles(("node-0", "master", 0, 4_000)), ax=ax)
    assert ax.get_xlim() == (0, 4.0)


def test_no_status_is_drawn_while_a_node_of_a_real_run_serves_as_master(ax):
    run = sim.simulate(
        sim.ClusterOptions(replicas=2, failover=sim.Failover(deadline_ms=2_500)),
        workload=sim.Workload(writes_per_s=20, source="uniform:20x4"),
        faults=[sim.Crash(at_ms=3_000, for_ms=4_000, node="node-0")],
        duration_ms=15_000,
    )
    run.plot_health(ax=ax)
    served = run.roles[run.roles["role"] == "master"]
    assert len(served) > 1
    nodes = [text.get_text() for text in ax.get_yticklabels()]
    sampling_s = run.options.sample_every_ms / 1_000
    for each in served.to_dict("records"):
        row, start, end = nodes.index(each["node"]), each["started_ms"], each["ended_ms"]
        for place, left, length, _ in bars(ax):
            left_s, length_s = left.expected, length.expected
            is_short = length_s <= 15 * 0.012  # Widened, so that it can be seen.
            overlap_s = min(left_s + length_s, end / 1_000) - max(left_s, start / 1_000)
            assert place != row or is_short or overlap_s <= sampling_s
    assert downs(ax) == [(0, 3.0, 7.0)]


def labels(ax):
    return [(text.get_text(), text.xy, text.get_ha()) for text in ax.texts]


def sampled(**nodes):
    """A frame in which each status is sampled again every 500 ms until the next one."""
    filled = {}
    for name, samples in nodes.items():
        filled[name] = list(samples)
        for (start, *rest), (end, *_) in pairwise(samples):
            times = range(start + 500, end, 500)
            filled[name] += [(time_ms, *rest) for time_ms in times]
        filled[name].sort(key=lambda sample: sample[0])
    return health(**filled)


def test_each_dwell_is_a_bar_of_its_start_length_and_colour(ax):
    frame = sampled(
        node_1=[
            (0, "Syncing", False),
            (1_000, "Syncing", False),
            (2_000, "Connected", False),
            (3_000, "Connected", False),
            (4_500, "Lagging", False),
            (6_000, "Disconnected", False),
            (10_000, "Disconnected", False),
        ],
        node_2=[(0, "Connected", False), (10_000, "Connected", False)],
    )
    assert bars(plot_health(frame, ax=ax)) == [
        (0, 0.0, 2.0, "Syncing"),
        (0, 2.0, 2.5, "Connected"),
        (0, 4.5, 1.5, "Lagging"),
        (0, 6.0, 4.0, "Disconnected"),
        (1, 0.0, 10.0, "Connected"),
    ]
    assert labels(ax) == []


def test_a_dwell_too_short_to_see_is_widened_and_labelled_with_its_true_length(ax):
    frame = health(
        node_1=[
            (0, "Connected", False),
            (50_000, "Syncing", False),
            (50_130, "Connected", False),
            (100_000, "Connected", False),
        ]
    )
    assert bars(plot_health(frame, ax=ax)) == [
        (0, 0.0, 50.0, "Connected"),
        (0, 50.0, 1.2, "Syncing"),
        (0, 50.13, 49.87, "Connected"),
    ]
    assert labels(ax) == [("0.13 s", (50.6, -0.31), "center")]
    short, long = rectangles(ax)[1:]
    assert short.get_zorder() > long.get_zorder()


def test_short_dwells_at_both_ends_stay_within_the_axes(ax):
    frame = sampled(
        node_1=[
            (0, "Syncing", False),
            (100, "Connected", False),
            (99_900, "Lagging", False),
            (100_000, "Lagging", False),
        ]
    )
    assert bars(plot_health(frame, ax=ax)) == [
        (0, 0.0, 1.2, "Syncing"),
        (0, 0.1, 99.8, "Connected"),
        (0, 98.8, 1.2, "Lagging"),
    ]
    assert labels(ax) == [("0.10 s", (0.0, -0.31), "left"), ("0.10 s", (100.0, -0.31), "right")]
    assert ax.get_xlim() == (0, 100.0)


def test_short_dwells_in_a_row_stand_side_by_side_and_only_the_first_is_labelled(ax):
    frame = health(
        node_1=[
            (0, "Connected", False),
            (50_000, "Syncing", False),
            (50_100, "Lagging", False),
            (50_300, "Connected", False),
            (100_000, "Connected", False),
        ]
    )
    assert bars(plot_health(frame, ax=ax))[1:3] == [
        (0, 50.0, 1.2, "Syncing"),
        (0, 51.2, 1.2, "Lagging"),
    ]
    assert [text for text, *_ in labels(ax)] == ["0.10 s"]


def test_a_status_of_a_single_sample_is_seen_and_has_no_length(ax):
    frame = health(
        node_1=[(0, "Connected", False), (50_000, "Lagging", False)],
        node_2=[(0, "Connected", False), (100_000, "Connected", False)],
    )
    assert bars(plot_health(frame, ax=ax))[1] == (0, 50.0, 1.2, "Lagging")
    assert labels(ax) == []


def test_rows_that_are_too_low_for_labels_have_none():
    samples = [(0, "Syncing", False), (100, "Connected", False), (100_000, "Connected", False)]
    frame = health(**{f"node_{number}": samples for number in range(4)})
    low, high = (Figure(figsize=(7, height_in)).subplots() for height_in in (1.5, 3.0))
    assert [len(labels(plot_health(frame, ax=ax))) for ax in (low, high)] == [0, 4]


def test_each_row_has_labels_of_its_own(ax):
    samples = [(0, "Syncing", False), (100, "Connected", False), (100_000, "Connected", False)]
    plot_health(health(node_1=samples, node_2=samples), ax=ax)
    assert [(text, xy) for text, xy, _ in labels(ax)] == [
        ("0.10 s", (0.0, -0.31)),
        ("0.10 s", (0.0, 0.69)),
    ]


def test_a_cut_is_shaded_in_the_row_of_its_node_from_start_to_end(ax):
    frame = health(node_1=steady(10_000), node_2=steady(10_000, (2_000, 7_500)))
    assert shades(plot_health(frame, ax=ax)) == [(1, 2.0, 7.5)]
    assert legend_texts(ax) == ["Connected", "node-2 cut off"]
    shade = next(bar for bar in rectangles(ax) if to_hex(bar.get_facecolor()) not in STATUS_OF)
    assert shade.get_zorder() < min(bar.get_zorder() for bar in rectangles(ax) if bar is not shade)


def test_overlapping_and_repeated_cuts_are_each_shaded_in_their_rows(ax):
    frame = health(
        node_1=steady(10_000, (1_000, 3_000), (5_000, 6_000)),
        node_2=steady(10_000, (2_000, 5_500)),
    )
    assert shades(plot_health(frame, ax=ax)) == [(0, 1.0, 3.0), (0, 5.0, 6.0), (1, 2.0, 5.5)]
    assert legend_texts(ax)[-1] == "2 nodes cut off"


def test_a_cut_that_lasts_is_shaded_to_the_end(ax):
    frame = health(node_1=steady(4_000, (1_000, 9_000)))
    assert shades(plot_health(frame, ax=ax)) == [(0, 1.0, 4.0)]


def test_a_run_without_a_cut_has_no_shade_and_no_word_of_it(ax):
    plot_health(health(node_1=steady(4_000)), ax=ax)
    assert (shades(ax), legend_texts(ax)) == ([], ["Connected"])


def test_the_legend_names_the_states_that_occur_in_a_fixed_order(ax):
    frame = health(node_1=[(0, "Syncing", False), (1_000, "Lagging", False)])
    assert legend_texts(plot_health(frame, ax=ax)) == ["Lagging", "Syncing"]


def test_rows_stand_in_the_order_of_the_node_numbers_from_the_top(ax):
    samples = steady(1_000)
    plot_health(health(node_10=samples, node_2=samples, node_1=samples), ax=ax)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["node-1", "node-2", "node-10"]
    assert ax.get_yticks().tolist() == [0, 1, 2]
    assert ax.get_ylim() == (2.5, -0.75)


def test_the_time_axis_has_its_unit_and_ends_with_the_run(ax):
    plot_health(health(node_1=steady(12_500)), ax=ax)
    assert (ax.get_xlabel(), ax.get_xlim()) == ("virtual time (s)", (0, 12.5))


def test_a_frame_without_rows_gives_an_empty_plot(ax):
    assert plot_health(health(), ax=ax) is ax
    assert (ax.patches[:], legend_texts(ax)) == ([], [])
    assert "replicas=1 or more" in ax.texts[0].get_text()


def test_the_tour_s_states_and_cut_are_those_of_a_real_run(ax):
    run = sim.simulate(
        sim.ClusterOptions(replicas=2),
        workload=sim.Workload(writes_per_s=20, source="uniform:20x4"),
        faults=[sim.Partition(at_ms=1_000, for_ms=3_000, isolate=["node-2"])],
        duration_ms=10_000,
    )
    assert run.plot_health(ax=ax) is ax
    assert shades(ax) == [(2, 1.0, 4.0)]
    assert [status for row, *_, status in bars(ax) if row == 2] == [
        "Syncing",
        "Connected",
        "Lagging",
        "Connected",
    ]


def test_given_axes_are_used_and_pyplot_has_no_figure_of_its_own(ax):
    before, settings = plt.get_fignums(), dict(mpl.rcParams)
    assert plot_health(health(node_1=steady(1_000)), ax=ax) is ax
    assert (plt.get_fignums(), dict(mpl.rcParams)) == (before, settings)


@pytest.mark.parametrize(("count", "height"), [(1, 1.8), (8, 5.3)])
def test_without_axes_a_figure_is_as_tall_as_its_rows_need(count, height):
    nodes = {f"node_{number}": steady(1_000) for number in range(1, count + 1)}
    made = plot_health(health(**nodes)).figure
    assert made.get_size_inches().tolist() == pytest.approx([7.0, height])
    plt.close(made)


def test_the_time_in_which_a_node_was_paused_is_dotted_though_it_is_master(ax):
    run = sim.simulate(
        sim.ClusterOptions(replicas=1),
        faults=[
            sim.Pause(at_ms=1_000, for_ms=500, node="node-0"),
            sim.Crash(at_ms=2_000, for_ms=250, node="node-1"),
        ],
        duration_ms=3_000,
        seed=7,
    )
    run.plot_health(ax=ax)
    dotted = [bar for bar in ax.patches if bar.get_hatch() == "...."]
    assert [(bar.get_x(), bar.get_width(), bar.get_y() < 0.5) for bar in dotted] == [
        (1.0, 0.5, True)
    ]
    assert legend_texts(ax)[-2:] == ["down", "paused"]
    plot_health(run.health, faults=run.fault_windows, ax=Figure().subplots())  # Without roles.
    reign = next(bar for bar in ax.patches if to_hex(bar.get_facecolor()) == to_hex(MASTER_COLOUR))
    assert dotted[0].get_zorder() > reign.get_zorder()


def test_a_label_is_not_struck_through_by_the_hatch_of_a_node_that_goes_down(ax):
    frame = health(
        node_1=[(0, "Syncing", False), (20, "Connected", False), *steady(9_500)[1:]],
        node_0=steady(9_500),
    )
    down = roles(("node-1", "down", 100, 900))
    plot_health(frame, roles=down, ax=ax)
    (label,) = [text for text in ax.texts if text.get_text() == "0.02 s"]
    (hatch,) = [bar for bar in ax.patches if bar.get_hatch() == "////"]
    assert label.get_zorder() > hatch.get_zorder()
    assert label.get_bbox_patch() is None  # A box would hide a shade.
    assert len(label.get_path_effects()) == 1
