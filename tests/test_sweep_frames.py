"""The frame of a sweep: settings as categoricals in the order of the grid, and fixed columns."""

import re
from pathlib import Path

import pandas as pd

from vectorkit.sim.sweeps.frames import SWEEP, sweep
from vectorkit.sim.sweeps.grid import _known_paths

DOCUMENT = Path(__file__).parents[1] / "docs" / "simulation.md"


def test_settings_are_categoricals_with_the_labels_of_the_grid_in_its_order():
    settings = {"a": (["z", "y", "x"], [0, 2]), "b": ([20, 3], [1, 1])}
    frame = sweep(settings, [{"seed": 1}, {"seed": 2**64 - 1}])
    assert frame.columns.tolist() == ["a", "b", *SWEEP]
    assert frame["a"].tolist() == ["z", "x"]
    assert frame["a"].cat.categories.tolist() == ["z", "y", "x"]
    assert frame["b"].cat.categories.tolist() == [20, 3]
    assert frame["seed"].tolist() == [1, 2**64 - 1]
    assert frame.query("b == 3")["seed"].tolist() == frame["seed"].tolist()


def test_what_a_row_does_not_tell_is_missing_and_the_types_stay():
    full = {"error": "", "is_converged": True, "broken": "", "writes": 3, "loss_window_ms": 1.5}
    for rows in ([{"seed": 1}], [{"seed": 1}, {"seed": 2, **full}]):
        frame = sweep({"a": ([1], [0] * len(rows))}, rows)
        assert {name: str(frame[name].dtype) for name in SWEEP} == dict(SWEEP)
        assert frame.loc[0, list(SWEEP)].drop("seed").isna().all()
    assert frame["writes"].tolist() == [pd.NA, 3]


def test_no_column_has_the_name_of_a_setting():
    assert set(SWEEP) & set(_known_paths()) == set()


def test_every_column_is_told_of_once_in_the_documentation_in_this_order():
    told = re.findall(r"^\| `([a-z0-9_`, ]+)` \|", DOCUMENT.read_text("utf-8"), re.M)
    names = [name for names in told for name in re.findall(r"\w+", names)]
    assert [name for name in names if name in SWEEP] == list(SWEEP)
