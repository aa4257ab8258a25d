"""The laboratory of updates: it measures what is chosen, when its button is pressed."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from matplotlib import pyplot as plt

import vectorkit as vk
from vectorkit.datasets import Dataset
from vectorkit.errors import InvalidOption
from vectorkit.notebook import update_lab
from vectorkit.notebook.update_lab import (
    BATCHES,
    DIMS,
    KINDS,
    ROWS,
    UpdateChoice,
    UpdateLab,
    drawn,
    kinds_here,
    measured,
    moved,
)
from vectorkit.notebook.widgets import Still

TINY = UpdateChoice(rows=40, dim=8, batch=16)


@pytest.fixture(scope="module")
def data():
    return drawn(40, 8)


def test_rows_are_drawn_from_a_seed_and_fewer_are_the_first_of_more():
    few, many = drawn(20, 3), drawn(50, 3)
    assert np.array_equal(few.vectors, many.vectors[:20])
    assert few.ids == many.ids[:20]
    assert few.vectors.dtype == np.float32
    assert not np.array_equal(few.vectors, drawn(20, 3, seed=1).vectors)


def test_drawn_rows_lie_around_their_centres():
    vectors = drawn(640, 16).vectors.reshape(20, 32, 16)
    within = vectors.std(axis=0).mean()
    between = vectors.mean(axis=0).std(axis=0).mean()
    assert 0.25 < within < 0.33
    assert 0.5 < between < 0.65


def test_calls_are_no_larger_than_what_is_chosen_and_than_there_are_rows():
    assert UpdateChoice(batch=1).batches == (1,)
    assert UpdateChoice(batch=1_024, rows=1_000).batches == (1, 16, 128)
    assert UpdateChoice(batch=1_024, rows=2_000).batches == BATCHES


def test_kinds_are_those_that_this_machine_has_a_device_for():
    assert kinds_here() == ["cpu", "sharded", "int8", "binary", "pq"]
    assert set(KINDS) - set(kinds_here()) == {"gpu"}


@pytest.mark.parametrize("kind", ["cpu", "sharded", "int8"])
def test_a_measurement_has_a_row_a_method_call_size_and_repeat(kind, data):
    shown = measured(UpdateChoice(kind=kind, rows=40, dim=8, batch=16), data)
    counts = shown.latency.groupby(["method", "batch"]).size().to_dict()
    assert counts == {(m, b): 3 for m in ("update", "delete + insert") for b in (1, 16)}
    assert (shown.recall is None) == (kind != "int8")


def test_rows_have_moved_before_recall_is_asked_for(data):
    made = moved(vk.CpuCollection, data)
    assert made.get("row-0").vector.tolist() == data.vectors[-1].tolist()
    assert len(made) == len(data)


def test_recall_is_that_of_the_moved_rows():
    """Codes of one bit, rescored from few candidates, miss some; codes of a byte hardly any."""
    vectors = np.random.default_rng(0).normal(size=(1_000, 300)).astype(np.float32)
    data = replace(drawn(1_000, 300), vectors=vectors)
    recalls = {
        kind: measured(UpdateChoice(kind=kind, rows=1_000, dim=300, batch=1), data).recall
        for kind in ("int8", "binary")
    }
    assert recalls["binary"] < recalls["int8"]
    assert recalls["int8"] > 0.99


def test_it_measures_nothing_before_its_button_is_pressed():
    lab = UpdateLab()
    assert lab.measured is None
    assert repr(lab) == "UpdateLab(nothing measured yet)"
    assert "Press Measure" in lab.status.value
    assert "Press Measure" in lab._repr_mimebundle_()["text/html"]


def test_it_shows_a_table_and_a_picture_of_what_was_measured(data):
    lab = UpdateLab(data)
    lab.batch.value = 16
    lab.button.click()
    assert lab.measured.choice == TINY
    for part in (">1 per call<", ">16 per call<", "exact: each answer is proven", "<img alt="):
        assert part in lab.html.value
    assert "128 per call" not in lab.html.value
    assert repr(lab) == "UpdateLab(UpdateChoice(kind='cpu', rows=40, dim=8, batch=16))"


def test_it_says_how_far_it_is_and_takes_no_second_click_meanwhile(data):
    lab = UpdateLab(data)
    lab.batch.value = 16
    seen = []
    lab.status.observe(lambda change: seen.append((change["new"], lab.button.disabled)), "value")
    lab.measure()
    rounds = [(f"measuring, {number} of 8 rounds", True) for number in range(1, 9)]
    assert seen == [("compiling …", True), *rounds, ("", False)]


def test_after_a_measurement_that_failed_there_may_be_another(data, monkeypatch):
    lab = UpdateLab(data)

    def fails(*_):
        raise MemoryError

    monkeypatch.setattr(update_lab, "measured", fails)
    with pytest.raises(MemoryError):
        lab.measure()
    assert (lab.button.disabled, lab.status.value, lab.measured) == (False, "", None)


def test_choices_without_data_are_the_small_ones_first():
    lab = vk.update_lab()
    assert lab.choice == UpdateChoice() == UpdateChoice(kind="cpu", rows=1_000, dim=64, batch=128)
    assert (lab.rows.options, lab.dim.options, lab.batch.options) == (ROWS, DIMS, BATCHES)


def test_with_data_the_rows_are_the_first_of_it_and_the_dimension_is_its_own():
    ids = tuple(f"word {number}" for number in range(1_500))
    own = Dataset("own", ids, drawn(1_500, 5).vectors, tuple({} for _ in ids))
    lab = vk.update_lab(own)
    assert (lab.rows.options, lab.dim.options) == ((500, 1_000, 1_500), (5,))
    lab.rows.value, lab.batch.value = 500, 1
    lab.measure()
    assert lab.measured.latency["rows"].unique().tolist() == [200]
    assert lab.measured.choice.dim == 5


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_rows_to_ask_for_neighbours_are_refused(count):
    with pytest.raises(InvalidOption, match="the number of rows of data"):
        vk.update_lab(drawn(count, 3))


@pytest.mark.parametrize("data", [[1, 2], np.zeros((5, 3)), "glove"])
def test_what_is_no_dataset_is_refused(data):
    with pytest.raises(InvalidOption, match="wanted a Dataset"):
        vk.update_lab(data)


def test_the_title_of_the_picture_lies_beside_its_legend(data, monkeypatch):
    figures = []
    monkeypatch.setattr(update_lab, "png", figures.append)
    choice = UpdateChoice(kind="sharded", rows=50_000, dim=384)
    latency = measured(TINY, data).latency
    update_lab.picture_of(update_lab.Measured(choice, latency, None))
    (figure,) = figures
    figure.canvas.draw()
    (ax,) = figure.axes
    title, legend = ax._right_title.get_window_extent(), ax.get_legend().get_window_extent()
    assert title.width > 0
    assert not title.overlaps(legend)
    plt.close(figure)


def test_controls_have_labels_in_the_order_of_focus():
    controls = UpdateLab().view.children[0].children
    assert [each.description for each in controls] == [
        "kind",
        "rows",
        "dimension",
        "rows per call, up to",
        "Measure",
    ]


def test_without_ipywidgets_the_first_choice_is_measured(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    still = vk.update_lab(data)
    assert isinstance(still, Still)
    assert "exact: each answer is proven" in still.html
    assert "<img alt=" in still.html
