"""Processes of their own: bound to their cores, and free to end as they like."""

import os

import pytest

from benchmarks.isolated import Isolated, Lost, environment
from tests.benchmarks import targets

LIMIT_S = 60


def test_a_process_has_its_cores_and_as_many_threads():
    process = Isolated(targets.tells_its_cores, cores=1)
    assert process.receive(LIMIT_S) == (1, "1")
    process.close()


def test_a_process_that_crashes_is_lost_with_its_signal():
    process = Isolated(targets.dies, cores=1)
    with pytest.raises(Lost, match="ended by SIGSEGV"):
        process.receive(LIMIT_S)
    process.close()


def test_a_process_that_says_nothing_is_ended():
    process = Isolated(targets.says_nothing, cores=1)
    with pytest.raises(Lost, match=r"no answer after 0\.01 s"):
        process.receive(0.01)


def test_variables_that_slow_numpy_or_make_devices_are_not_inherited(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=4")
    before = dict(os.environ)
    with environment(2):
        assert "OPENBLAS_CORETYPE" not in os.environ
        assert "XLA_FLAGS" not in os.environ
        assert os.environ["OPENBLAS_NUM_THREADS"] == "2"
    assert dict(os.environ) == before
