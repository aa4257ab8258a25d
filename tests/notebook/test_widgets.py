"""What dashboards share: a clear word where widgets are missing; pictures that leave nothing."""

import sys
from base64 import b64encode

import pytest
from matplotlib import pyplot as plt

from vectorkit.notebook.widgets import Still, button, has_widgets, labelled, png, png_html, step_of


def test_widgets_are_there_unless_they_cannot_be_imported(monkeypatch):
    assert has_widgets()
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert not has_widgets()


def test_a_still_names_the_one_command_above_what_it_shows():
    still = Still("Fault <lab>", "<p>figures</p>")
    assert still._repr_html_() == (
        "<p>Fault &lt;lab&gt; without controls. To get the controls, run "
        "<code>pip install ipywidgets</code> and restart the kernel.</p><p>figures</p>"
    )
    assert repr(still) == "Still(Fault <lab>: to get the controls, run: pip install ipywidgets)"


@pytest.mark.parametrize(
    ("length_ms", "step_ms"),
    [(1, 1), (400, 1), (401, 10), (4_000, 10), (40_000, 100), (400_000, 1_000), (10**9, 1_000)],
)
def test_a_step_is_the_smallest_of_which_four_hundred_are_enough(length_ms, step_ms):
    assert step_of(length_ms) == step_ms


def test_a_whole_description_is_shown():
    made = labelled("IntSlider", "a rather long description", min=0, max=5)
    assert (made.description, made.style.description_width) == (
        "a rather long description",
        "initial",
    )


def test_a_button_calls_what_it_is_for():
    clicked = []
    made = button("Go", lambda: clicked.append("went"), tooltip="and come back", width="80px")
    made.click()
    assert (clicked, made.tooltip, made.layout.width) == (["went"], "and come back", "80px")


def test_a_picture_is_closed_so_that_no_cell_shows_it_again():
    figure = plt.figure()
    assert png(figure).startswith(b"\x89PNG")
    assert not plt.fignum_exists(figure.number)


def test_a_picture_within_html_has_an_escaped_name():
    assert png_html(b"data", 'a "b"') == (
        f'<img alt="a &quot;b&quot;" src="data:image/png;base64,{b64encode(b"data").decode()}">'
    )
