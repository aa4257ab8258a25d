"""Sweeps: a row a run, the same whoever makes it, and never made twice."""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import joblib
import pytest
from joblib.parallel import ThreadingBackend, register_parallel_backend
from pandas.testing import assert_frame_equal

from tests.sim.small import BASE, GRID
from vectorkit import sim
from vectorkit.errors import InvalidOption
from vectorkit.replication import ReplicationOptions
from vectorkit.sim.sweeps.frames import SWEEP
from vectorkit.sim.sweeps.sweep import _outcome

ROOT = Path(__file__).parents[2]
SEEDS = range(2)


def made(**arguments):
    return sim.sweep(GRID, **{"seeds": SEEDS, "base": BASE, **arguments})


@pytest.fixture(scope="module")
def frame():
    return made()


def test_there_is_a_row_per_combination_and_seed_with_settings_first(frame):
    assert frame.columns.tolist() == [*GRID, *SWEEP]
    rows = frame[["writes_per_s", "loss", "seed"]].to_numpy().tolist()
    assert rows == [[w, loss, seed] for w in (20, 40) for loss in (0, 0.2) for seed in SEEDS]
    assert frame["writes_per_s"].cat.categories.tolist() == [20, 40]
    assert {name: str(frame[name].dtype) for name in SWEEP} == dict(SWEEP)


def test_a_row_is_what_its_scenario_gives(frame):
    for row in frame.iloc[[0, 5]].itertuples():
        run = sim.simulate(sim.Scenario.from_json(row.scenario))
        assert run.trace_hash == row.trace_hash
        assert run.event_count == row.event_count
        options = replace(BASE.options, link=replace(BASE.options.link, loss=row.loss))
        load = replace(BASE.workload, writes_per_s=row.writes_per_s)
        changed = replace(BASE, options=options, workload=load, seed=row.seed)
        assert changed == sim.Scenario.from_json(row.scenario)


def test_without_a_base_it_is_the_default_cluster_under_the_default_load():
    frame = sim.sweep({"duration_ms": [100]}, seeds=[3])
    assert sim.Scenario.from_json(frame["scenario"][0]) == sim.Scenario(
        workload=sim.Workload(), duration_ms=100, seed=3
    )


# Whoever makes it


def test_two_processes_give_the_same_frame(frame):
    assert_frame_equal(made(jobs=2), frame)


def test_dask_gives_the_same_frame(frame):
    from distributed import Client, LocalCluster

    cluster = LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    )
    with cluster, Client(cluster), joblib.parallel_config(backend="dask"):
        assert_frame_equal(made(), frame)


def test_a_backend_that_gives_all_results_at_once_gets_the_runs_in_rounds(frame, tmp_path):
    class AtOnce(ThreadingBackend):
        supports_return_generator = False

    register_parallel_backend("at once", AtOnce)
    seen = []
    with joblib.parallel_config(backend="at once", n_jobs=2):
        assert_frame_equal(made(path=tmp_path / "runs", progress=seen.append), frame)
    assert seen == [*range(9)]


def test_the_environment_of_workers_is_set_in_workers_only(monkeypatch):
    text = BASE.to_json(indent=None)
    for name in ("NPROC", "XLA_PYTHON_CLIENT_PREALLOCATE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    _outcome(0, text, os.getpid())
    assert "NPROC" not in os.environ
    _outcome(0, text, os.getpid() + 1)
    assert os.environ["NPROC"] == "1"
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"


# Errors


def test_a_run_that_raises_is_a_row_and_the_sweep_goes_on():
    grid = {"event_count_max": [50, 1_000_000]}
    frame = sim.sweep(grid, seeds=[0], base=BASE)
    assert frame["error"][0].startswith("LimitReached: ")
    assert frame.loc[0, list(SWEEP)].drop(["seed", "error", "scenario"]).isna().all()
    assert frame["error"].isna().tolist() == [False, True]
    assert frame["is_converged"][1]
    scenario = sim.Scenario.from_json(frame["scenario"][0])
    assert scenario.options.event_count_max == 50


def test_what_the_machine_lacks_ends_the_sweep_and_is_no_row(tmp_path):
    path, vast = tmp_path / "runs", "uniform:10x10000000000000"  # 400 TB
    with pytest.raises(MemoryError):
        sim.sweep({"source": ["uniform:20x4", vast]}, seeds=[0], base=BASE, path=path)
    seen = []
    frame = sim.sweep(
        {"source": ["uniform:20x4"]}, seeds=[0], base=BASE, path=path, progress=seen.append
    )
    assert (seen, frame["error"].isna().tolist()) == ([1], [True])


@pytest.mark.parametrize("jobs", [0, 1.5, "all", True])
def test_jobs_that_nobody_can_do_are_refused(jobs):
    with pytest.raises(InvalidOption, match="invalid number of workers: got jobs="):
        made(jobs=jobs)


def test_a_base_is_a_scenario():
    with pytest.raises(InvalidOption, match="wanted a Scenario"):
        made(base=BASE.options)


def test_all_is_checked_before_anything_runs(tmp_path):
    path, seen = tmp_path / "runs", []
    with pytest.raises(InvalidOption, match="got replicas=100:"):
        sim.sweep({"replicas": [1, 100]}, seeds=[0], base=BASE, path=path, progress=seen.append)
    assert (seen, path.exists()) == ([], False)


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_in_the_middle_ends_the_sweep_and_what_was_done_is_on_disk(jobs, tmp_path, frame):
    def stop(done):
        if done == 3:
            raise KeyError(done)

    path, seen = tmp_path / "runs", []
    with joblib.parallel_config(backend="threading"), pytest.raises(KeyError):
        made(path=path, jobs=jobs, progress=stop)
    assert_frame_equal(made(path=path, progress=seen.append), frame)
    assert seen == [3, 4, 5, 6, 7, 8]


def test_a_sync_that_may_never_end_is_told_by_the_row_not_by_a_warning():
    grid = {"log_capacity_operations": [1], "chunk_bytes": [100], "chunk_window": [1]}
    base = replace(BASE, workload=replace(BASE.workload, writes_per_s=1_000))
    assert sim.sweep(grid, seeds=[0], base=base)["is_converged"].tolist() == [True]
    options = sim.ClusterOptions(
        replicas=1, replication=ReplicationOptions(**{name: each[0] for name, each in grid.items()})
    )
    with pytest.warns(UserWarning, match="may never end") as caught:
        sim.simulate(options, workload=base.workload, duration_ms=500)
    assert caught[0].filename == __file__


# Progress


def test_progress_is_told_from_what_is_known_to_all(tmp_path):
    path, seen = tmp_path / "runs", []
    made(path=path, seeds=[0], progress=seen.append)
    made(path=path, progress=seen.append)
    assert seen == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8]


def test_a_bar_shows_how_far_it_is():
    program = (
        "from tests.sim.small import BASE, GRID\nfrom vectorkit import sim\n"
        "sim.sweep(GRID, seeds=[0], base=BASE, progress=True)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TQDM_DISABLE"}
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert "sweeping:" in done.stderr
    assert "4/4" in done.stderr


# On disk


def test_a_sweep_that_is_known_runs_nothing(tmp_path, frame):
    path = tmp_path / "runs"
    assert_frame_equal(made(path=path), frame)
    content = path.read_bytes()
    seen = []
    assert_frame_equal(made(path=path, progress=seen.append), frame)
    assert (seen, path.read_bytes()) == ([8], content)


def test_a_sweep_may_grow_and_the_runs_that_are_there_stay(tmp_path, frame):
    path, seen = tmp_path / "runs", []
    sim.sweep({"writes_per_s": [40], "loss": [0.2]}, seeds=[1], base=BASE, path=path)
    before = path.read_bytes()
    assert_frame_equal(made(path=path, progress=seen.append), frame)
    assert path.read_bytes().startswith(before)
    assert seen == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_killed_sweep_goes_on_with_what_is_on_disk(tmp_path):
    path = tmp_path / "runs"
    program = (
        "from tests.sim.small import BASE, GRID\nfrom vectorkit import sim\n"
        f"sim.sweep(GRID, seeds=range(200), base=BASE, path={str(path)!r},\n"
        "    progress=lambda done: print(done, flush=True))"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if int(line) >= 3:
                break
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    left, seen = path.read_bytes(), []
    whole = left[: left.rindex(b"\n") + 1]
    known = whole.count(b"\n") - 1
    assert 3 <= known < 200

    grid, seeds = {"writes_per_s": [20], "loss": [0]}, range(known + 2)  # Seeds are innermost.
    resumed = sim.sweep(grid, seeds=seeds, base=BASE, path=path, progress=seen.append)
    assert seen == [known, known + 1, known + 2]
    assert path.read_bytes().startswith(whole)
    assert_frame_equal(resumed, sim.sweep(grid, seeds=seeds, base=BASE))


def test_another_thread_s_sweep_does_not_change_this_one(frame):
    found = []
    threads = [threading.Thread(target=lambda: found.append(made())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in found:
        assert_frame_equal(each, frame)
    assert len(found) == 2


def test_failures_are_kept_on_disk_like_all_other_runs(tmp_path):
    path = tmp_path / "runs"
    grid = {"event_count_max": [50]}
    first = sim.sweep(grid, seeds=[0], base=BASE, path=path)
    record = json.loads(path.read_text("utf-8").splitlines()[1])
    assert record["outcome"] == {"error": first["error"][0]}
    assert_frame_equal(sim.sweep(grid, seeds=[0], base=BASE, path=path), first)
