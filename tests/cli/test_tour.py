"""The quick tour, run twice with one seed: its report stands alone and its claims hold."""

import base64
import re
import struct
from contextlib import redirect_stdout
from html import unescape
from io import StringIO
from types import SimpleNamespace

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from vectorkit import cli, frames, measure, sim
from vectorkit.cli.tour import scenario_of

FIGURES = {"update_latency", "health", "lag"}
TABLES = {
    "neighbours",
    "update_latency",
    "update_summary",
    "health",
    "operations",
    "syncs",
    "replicas_during_cut",
    "nodes",
}
PASSED = ["Syncing", "Connected", "Lagging", "Disconnected", "Syncing", "Connected"]


def run_tour(out):
    printed, settings = StringIO(), dict(mpl.rcParams)
    with redirect_stdout(printed):
        status = cli.main(["tour", "--quick", "--out", str(out)])
    return SimpleNamespace(
        out=out,
        status=status,
        lines=printed.getvalue().splitlines(),
        page=(out / "report.html").read_text("utf-8"),
        are_settings_kept=settings == dict(mpl.rcParams),
    )


@pytest.fixture(scope="module")
def tour(tmp_path_factory):
    """A tour into a folder that is not there yet."""
    return run_tour(tmp_path_factory.mktemp("first") / "some" / "where")


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """The same over the remains of an older report."""
    out = tmp_path_factory.mktemp("second")
    (out / "tables").mkdir()
    (out / "tables" / "health.csv").write_text("older,\n" * 100_000)
    (out / "report.html").write_text("older" * 1_000_000)
    (out / "notes.txt").write_text("mine")
    return run_tour(out)


@pytest.fixture(scope="module")
def run():
    """The tour's simulation, made without the tour."""
    return sim.simulate(scenario_of(2_000, seed=7, is_quick=True))


def table(tour, name):
    return pd.read_csv(tour.out / "tables" / f"{name}.csv", keep_default_na=False, na_values=[""])


def printed_hash(tour):
    (line,) = [line for line in tour.lines if "trace hash" in line]
    return line.rpartition(" ")[2]


def test_the_tour_succeeds_and_says_where_its_report_is(tour):
    assert tour.status == 0
    assert tour.lines[0] == "2,000 GloVe vectors of dimension 50"
    assert tour.lines[-1].endswith(f"Open {tour.out / 'report.html'}")


def test_every_file_is_there_and_no_other(tour):
    files = {str(path.relative_to(tour.out)) for path in tour.out.rglob("*") if path.is_file()}
    assert files == {
        "report.html",
        *(f"figures/{name}.png" for name in FIGURES),
        *(f"tables/{name}.csv" for name in TABLES),
    }


def test_an_older_report_is_replaced_and_other_files_stay(second):
    assert second.status == 0
    assert "olderolder" not in second.page
    assert second.page.startswith("<!doctype html>")
    assert len(table(second, "health")) > 1_000
    assert (second.out / "notes.txt").read_text() == "mine"


# The page


def test_the_page_needs_nothing_else(tour):
    text = re.sub(r'src="data:[^"]*"', "", tour.page)
    assert re.findall(r"https?:|file:|//|src=|href=|<script|<link|@import|url\(", text) == []
    sources = re.findall(r'src="([^"]*)"', tour.page)
    assert len(sources) == len(re.findall("<img", tour.page)) == 3
    assert {source.partition(",")[0] for source in sources} == {"data:image/png;base64"}
    assert str(tour.out) not in tour.page


def test_the_page_shows_the_figures_that_lie_beside_it(tour):
    embedded = {base64.b64decode(code) for code in re.findall(r'base64,([^"]*)"', tour.page)}
    files = {(tour.out / "figures" / f"{name}.png").read_bytes() for name in FIGURES}
    assert embedded == files
    for png in files:
        assert png.startswith(b"\x89PNG")
        width, height = struct.unpack(">II", png[16:24])
        assert width == 1_152
        assert height >= 400


def test_no_placeholder_or_missing_value_is_left_in_the_page(tour):
    text = re.sub(r'src="[^"]*"', "", tour.page)
    assert re.findall(r"\$\{?\w+|\bnan\b|\bNone\b|&lt;NA&gt;|NaT", text) == []


def test_every_picture_has_words_for_those_who_cannot_see_it(tour):
    assert all(len(words) > 20 for words in re.findall(r'<img alt="([^"]*)"', tour.page))
    assert len(re.findall("<img alt=", tour.page)) == 3


def test_the_page_is_well_formed(tour):
    tags = re.findall(r"<(/?)(\w+)[^>]*>", tour.page.partition("</head>")[2])
    void, opened = {"img", "meta"}, []
    for is_end, name in tags:
        if is_end and name not in ("body", "html"):
            assert (opened.pop(), is_end) == (name, "/")
        elif not is_end and name not in void | {"body"}:
            opened.append(name)
    assert opened == []


def test_the_page_names_the_states_that_were_passed_and_the_verdict(tour):
    assert f"<b>{' → '.join(PASSED)}</b>" in tour.page
    assert "<b>equal on all nodes</b>" in tour.page
    assert "so 1 partial sync of" in tour.page
    assert printed_hash(tour) in tour.page


def test_the_code_in_the_page_runs_and_its_assertion_holds(tour):
    code = unescape(re.search(r"<pre>(.*?)</pre>", tour.page, re.S)[1])
    assert f'assert run.trace_hash == "{printed_hash(tour)}"' in code
    before, names = plt.get_fignums(), {}
    exec(compile(code, "report", "exec"), names)
    assert names["run"].is_converged
    for number in set(plt.get_fignums()) - set(before):
        plt.close(number)


# The tables


@pytest.mark.parametrize("name", ["health", "operations", "syncs", "nodes"])
def test_tables_of_the_run_are_its_frames(tour, run, name):
    frame = getattr(run, name)
    read = table(tour, name)
    if name == "syncs":
        read["reason"] = read["reason"].fillna("")
    pd.testing.assert_frame_equal(read.astype(dict(frame.dtypes)), frame, check_exact=True)


def test_other_tables_have_the_shape_that_was_measured(tour):
    assert table(tour, "neighbours").shape == (4, 2)
    assert table(tour, "update_latency").shape == (4 * 3 * 2, len(measure.UPDATE_LATENCY))
    assert table(tour, "update_summary")["batch"].tolist() == [1, 16, 128, 1_024]
    assert table(tour, "replicas_during_cut").shape == (3, len(frames.REPLICAS))


def test_the_summary_is_that_of_the_measurements(tour):
    summary = measure.summarise_updates(table(tour, "update_latency"))
    pd.testing.assert_frame_equal(table(tour, "update_summary"), summary)


def test_neighbours_are_words_that_a_reader_expects(tour):
    nearest = table(tour, "neighbours").set_index("word")["neighbours"]
    assert nearest["king"].startswith("prince 0.82, ")
    assert "france" in nearest["paris"]
    assert "tuesday" in nearest["monday"]
    assert [line.strip() for line in tour.lines if line.startswith("  ")] == [
        f"{word}: {words}" for word, words in nearest.items()
    ]


def test_the_cut_replica_passes_all_states_and_ends_connected(tour):
    health = table(tour, "health")
    for node, passed in [("node-1", PASSED[:2]), ("node-2", PASSED[:2]), ("node-3", PASSED)]:
        status = health[health["node"] == node]["status"]
        assert status[status != status.shift()].tolist() == passed


def test_the_cut_lasts_75_seconds_and_hits_one_replica(tour):
    health = table(tour, "health")
    cut = health[health["is_cut"]]
    assert cut["node"].unique().tolist() == ["node-3"]
    assert (cut["time_ms"].min(), cut["time_ms"].max()) == (15_000, 89_750)


def test_the_master_sees_the_cut_replica_as_disconnected_during_the_cut(tour):
    replicas = table(tour, "replicas_during_cut").set_index("id")
    assert replicas["status"].to_dict() == {
        "node-1": "Connected",
        "node-2": "Connected",
        "node-3": "Disconnected",
    }
    assert replicas.loc["node-3", "lag_operations"] == 699


def test_all_nodes_end_with_equal_digests_and_nothing_missing(tour):
    nodes, operations = table(tour, "nodes"), table(tour, "operations")
    assert nodes["digest"].nunique() == nodes["offset"].nunique() == 1
    assert nodes["node"].tolist() == ["node-0", "node-1", "node-2", "node-3"]
    assert set(operations["fate"]) == {"kept"}
    assert set(operations["copy_count"]) == {4}


# The same again


def test_the_trace_hash_is_that_of_the_scenario_and_of_every_run(tour, second, run):
    assert printed_hash(tour) == printed_hash(second) == run.trace_hash
    assert re.fullmatch("[0-9a-f]{32}", run.trace_hash)


@pytest.mark.parametrize("name", ["health", "operations", "syncs", "nodes", "neighbours"])
def test_what_is_not_measured_is_equal_to_the_byte_in_every_run(tour, second, name):
    path = f"tables/{name}.csv"
    assert (tour.out / path).read_bytes() == (second.out / path).read_bytes()


def test_figures_of_the_run_are_equal_to_the_byte_in_every_run(tour, second):
    for name in ("health", "lag"):
        path = f"figures/{name}.png"
        assert (tour.out / path).read_bytes() == (second.out / path).read_bytes()


def test_another_seed_gives_another_trace(run):
    other = sim.simulate(scenario_of(2_000, seed=8, is_quick=True))
    assert other.trace_hash != run.trace_hash


def test_the_tour_leaves_matplotlib_as_it_was(tour, second):
    assert tour.are_settings_kept
    assert second.are_settings_kept
