"""Parameter sweeps: one run per combination of settings and seed, parallel and resumable."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from vectorkit.errors import InvalidOption
from vectorkit.records import check_type
from vectorkit.sim.load.workload import Workload
from vectorkit.sim.scenario import Scenario
from vectorkit.sim.simulate import run_scenario
from vectorkit.sim.sweeps.grid import check_seeds, planned, settings_of
from vectorkit.sim.sweeps.results_file import PathLike, SweepFile, key_of
from vectorkit.sim.sweeps.summary import outcome_of

if TYPE_CHECKING:
    from vectorkit.tabular import DataFrame

_ROUND_RUNS: Final = 16
"""Runs per worker and round, on backends that give all results of a call at once."""

Made = Generator[tuple[int, dict[str, Any]]]

# In processes of its own a sweep needs one thread each, and no accelerator's memory beforehand.
_WORKER_ENVIRONMENT: Final = {"NPROC": "1", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def sweep(
    grid: Mapping[str, Any],
    *,
    seeds: Iterable[int],
    base: Scenario | None = None,
    jobs: int | None = None,
    path: PathLike | None = None,
    progress: Callable[[int], None] | bool | None = None,
) -> DataFrame:
    """Simulate every combination of settings with every seed, one DataFrame row per run.

    The rows are the same for any number of workers. docs/simulation.md lists the columns.

    Args:
        grid: values of each setting: a list, or a mapping of labels to values. A setting is a field
            of Scenario, ClusterOptions, ReplicationOptions, Link, Disk or Workload. A value of
            "faults" is a list of faults, or a function such as `random_faults` that returns one
            for each seed.
        seeds: each combination runs once per seed.
        base: all other settings; None for `Scenario(workload=Workload())`.
        jobs: number of worker processes, −1 for one per processor. None uses
            `joblib.parallel_config` if active, else runs in this process.
        path: file that receives each result immediately; the same call resumes from it.
        progress: True for a progress bar, or a function of the number of completed runs.

    Returns:
        One row per combination and seed: the summary of the run, or the error that it raised.

    Raises:
        InvalidOption: an argument or a combination is invalid; raised before any run starts.
        MemoryError, OSError, ImportError: the machine lacks memory, disk or a package.

    >>> from vectorkit import sim
    >>> load = sim.Workload(writes_per_s=20, source="uniform:20x4")
    >>> base = sim.Scenario(sim.ClusterOptions(replicas=1), workload=load, duration_ms=500)
    >>> frame = sim.sweep({"writes_per_s": [20, 40]}, seeds=range(2), base=base)
    >>> frame[["writes_per_s", "seed", "acknowledged_writes"]].to_numpy().tolist()
    [[20, 0, 10], [20, 1, 10], [40, 0, 20], [40, 1, 20]]
    """
    from vectorkit.sim.sweeps import frames

    if base is None:
        base = Scenario(workload=Workload())
    check_type("base", base, Scenario)
    if jobs is not None and (not isinstance(jobs, int) or isinstance(jobs, bool) or not jobs):
        raise InvalidOption(
            "invalid number of workers",
            got=f"jobs={jobs!r}",
            wanted="a positive integer, −1 for one per processor, or None",
            remedy="omit jobs to run in this process",
        )
    settings = settings_of(grid)
    plan = list(planned(settings, base, check_seeds(seeds)))
    texts = [each.scenario.to_json(indent=None) for each in plan]
    keys = [key_of(text) for text in texts]
    outcomes = _outcomes(dict(zip(keys, texts, strict=True)), jobs, path, progress)
    columns = {
        each.name: (each.labels, [one.numbers[place] for one in plan])
        for place, each in enumerate(settings)
    }
    rows = [
        {**outcomes[key], "seed": one.scenario.seed, "scenario": text}
        for one, key, text in zip(plan, keys, texts, strict=True)
    ]
    return frames.sweep(columns, rows)


def _outcomes(
    texts: Mapping[str, str],
    jobs: int | None,
    path: PathLike | None,
    progress: Callable[[int], None] | bool | None,
) -> dict[str, dict[str, Any]]:
    """Return outcomes by scenario key; read finished ones from `path`, run the rest."""
    with ExitStack() as stack:
        file = stack.enter_context(nullcontext() if path is None else SweepFile(path, texts))
        outcomes = {} if file is None else dict(file.outcomes)
        missing = [key for key in texts if key not in outcomes]
        tell = _teller(stack, progress, len(texts))
        tell(len(outcomes))
        made = stack.enter_context(_ended(_made([texts[key] for key in missing], jobs)))
        for number, outcome in made:
            key = missing[number]
            if file is not None:
                file.append(key, outcome, texts[key])
            outcomes[key] = outcome
            tell(len(outcomes))
    return outcomes


def _teller(
    stack: ExitStack, progress: Callable[[int], None] | bool | None, total: int
) -> Callable[[int], object]:
    if progress is True:
        from vectorkit import progress as bars

        return stack.enter_context(bars.progress("sweeping", total=total, unit="run")).reach
    return progress if callable(progress) else lambda done: None


@contextmanager
def _ended(made: Made) -> Iterator[Made]:
    """Cancel pending runs when an error ends the sweep, without joblib's warning about it."""
    try:
        yield made
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            made.close()


def _made(texts: Sequence[str], jobs: int | None) -> Made:
    """Yield the number and outcome of each scenario, in order of completion."""
    if not texts:
        return
    import joblib
    from joblib.parallel import get_active_backend

    home = os.getpid()
    calls = (joblib.delayed(_outcome)(number, text, home) for number, text in enumerate(texts))
    if get_active_backend()[0].supports_return_generator:
        yield from joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")(calls)
        return
    with joblib.Parallel(n_jobs=jobs) as parallel:
        size = _ROUND_RUNS * joblib.effective_n_jobs(jobs)
        while part := parallel(islice(calls, size)):
            yield from part


def _outcome(number: int, text: str, home: int) -> tuple[int, dict[str, Any]]:
    """Run one scenario, in this or a worker process; return its summary or its error.

    Lack of memory, disk or packages says nothing about the scenario: such errors end the sweep.
    """
    if os.getpid() != home:
        for name, value in _WORKER_ENVIRONMENT.items():
            os.environ.setdefault(name, value)
    scenario = Scenario.from_json(text)
    try:
        return number, outcome_of(run_scenario(scenario), scenario.duration_ms)
    except (MemoryError, OSError, ImportError):
        raise
    except Exception as error:
        return number, {"error": f"{type(error).__name__}: {error}"}
