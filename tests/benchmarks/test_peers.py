"""Peers do what they are told, each in its own process; one that crashes is an error of its own."""

import numpy as np
import pytest

from benchmarks import peers
from benchmarks.peers import FLOOR, Peer, checked_peers, how_to_get
from benchmarks.peers.floors import NumpyDict
from benchmarks.peers.own import Vectorkit
from benchmarks.peers.remote import Failed, loaded
from benchmarks.rows import OURS
from benchmarks.timing import drawn, in_turn, names
from vectorkit.errors import InvalidOption

ROWS = drawn(60, 8)
OTHERS = drawn(20, 8, seed=9)
QUERIES = drawn(5, 8, seed=3)


@pytest.mark.parametrize("kind", [NumpyDict, Vectorkit])
def test_a_store_answers_with_what_was_written_last(kind):
    store = kind(cores=1)
    store.load(names(60), ROWS)
    store.insert(["new", "newer"], OTHERS[:2])
    store.update(["row-3", "row-59"], OTHERS[2:4])
    store.update_each(["row-4"], OTHERS[4:5])
    store.update_batches([(["row-5", "row-6"], OTHERS[5:7])])
    store.delete(["row-0", "row-59", "new"])
    held = dict(zip(names(60), ROWS, strict=True)) | {"newer": OTHERS[1]}
    held |= dict(zip(["row-3", "row-4", "row-5", "row-6"], OTHERS[[2, 4, 5, 6]], strict=True))
    del held["row-0"], held["row-59"]
    ids, rows = np.array(list(held), object), np.stack(list(held.values()))
    best = np.argsort(-(QUERIES @ rows.T), axis=1)[:, :10]
    assert [list(each) for each in store.search(QUERIES, 10)] == ids[best].tolist()


def test_a_floor_that_gets_more_rows_than_it_has_room_for_keeps_them_all():
    store = NumpyDict(cores=1)
    store.load(["a"], ROWS[:1])
    store.insert(names(50), ROWS[:50])
    assert [each[0] for each in store.search(ROWS[1:50], 1)] == names(50)[1:]


@pytest.fixture
def planted(monkeypatch):
    for name in ("Crashes", "Raises", "Stranger"):
        peer = Peer(f"tests.benchmarks.targets:{name}")
        monkeypatch.setitem(peers.PEERS, name.lower(), peer)


def test_a_peer_that_crashes_raises_or_is_missing_is_an_error_and_the_run_goes_on(planted):
    asked = [FLOOR, "crashes", "raises", "stranger"]
    with loaded(asked, names(60), ROWS, cores=1) as made:
        calls = {name: each.timed("search", QUERIES, 3) for name, each in made.items()}
        timings = in_turn(calls, repeats=2)
    assert list(timings) == [OURS, *asked]
    assert "ended by SIGSEGV" in timings["crashes"].error
    assert "ValueError: no such index" in timings["raises"].error
    assert "pip install -e '.[peers]'" in timings["stranger"].error
    assert len(timings[OURS].seconds) == len(timings[FLOOR].seconds) == 2


def test_a_peer_that_has_failed_says_the_same_for_ever(planted):
    with loaded(["raises"], names(60), ROWS, cores=1) as made:
        for _ in range(2):
            with pytest.raises(Failed, match="no such index"):
                made["raises"].call("search", QUERIES, 3)
        with pytest.raises(Failed, match="no such index"):
            made["raises"].lap("update", ["row-1"], ROWS[:1])


def test_peers_are_all_none_or_named():
    assert checked_peers("none") == ()
    assert checked_peers("all") == tuple(peers.PEERS)


def test_an_unknown_peer_is_refused_and_the_known_are_named():
    with pytest.raises(InvalidOption) as error:
        checked_peers("faiss,chroma")
    assert error.value.got == "faiss"
    assert "faiss-flat" in error.value.wanted


def test_a_peer_that_is_not_installed_is_refused_with_the_command_that_mends_it(monkeypatch):
    monkeypatch.setitem(peers.PEERS, "stranger", Peer("a:b", "a_package_that_is_not_installed"))
    with pytest.raises(InvalidOption) as error:
        checked_peers("stranger")
    assert error.value.remedy == ".venv/bin/python -m pip install -e '.[peers]'"


def test_happysim_is_told_with_the_python_that_it_needs():
    assert "Python 3.13" in how_to_get("happysim")


def test_a_peer_that_cannot_follow_a_runbook_says_why():
    assert "rows to insert" in peers.PEERS["usearch-exact"].why_no_stream
