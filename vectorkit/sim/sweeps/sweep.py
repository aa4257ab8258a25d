"""Sweeps: one run per combination of settings and per seed, in parallel, resumable."""

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
    """A row per combination of settings and seed: what the run has come to, or its error.

    `grid` names settings, which are fields of Scenario, ClusterOptions, ReplicationOptions, Link,
    Disk or Workload, and gives the values of each: a list, or labels with their values. All are
    crossed, over `base` (by default `Scenario(workload=Workload())`). A value of "faults" is a list
    of faults, or a function such as `random_faults` that makes one from each seed. Rows are equal
    whatever runs them; the columns are in docs/simulation.md.

    `jobs` processes work at a time, −1 for one a processor; None is what `joblib.parallel_config`
    says, else one, in this process. With `path` each finished run is on disk at once, and the same
    call goes on from there. `progress` is True for a bar, or is called with how many runs are done.

    All is checked before anything runs: raises InvalidOption for a combination that cannot be. A
    run that raises is a row; what the machine lacks (memory, disk, a package) ends the sweep.

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
            "a sweep needs somebody to do the work",
            got=f"jobs={jobs!r}",
            wanted="1 or more, −1 for one a processor, or None",
            remedy="leave it out",
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
    """The outcome of each scenario by its key: from the disk, or made and put there."""
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
    """Whom to tell how many runs are done."""
    if progress is True:
        from vectorkit import progress as bars

        return stack.enter_context(bars.progress("sweeping", total=total, unit="run")).reach
    return progress if callable(progress) else lambda done: None


@contextmanager
def _ended(made: Made) -> Iterator[Made]:
    """Give up what is under way when an error ends the sweep; joblib would warn of just that."""
    try:
        yield made
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            made.close()


def _made(texts: Sequence[str], jobs: int | None) -> Made:
    """Every scenario's number and outcome, in the order in which they are done."""
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
    """What a scenario's run has come to, or its error; in whatever process.

    What a machine lacks says nothing of the scenario, so it is no outcome.
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
