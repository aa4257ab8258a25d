"""One trial: a scenario with, or without, its planted bug, and what the checks say."""

import time

from tests.planted.bugs import BY_NAME
from tests.planted.edits import planted
from vectorkit import sim
from vectorkit.sim.simulate import run_scenario


def simulated(bug, scenario, *, is_planted=True):
    """The run of a scenario, with the bug or without it."""
    edits = (*bug.condition, *bug.edits) if is_planted else bug.condition
    with planted(*edits):
        return run_scenario(scenario)


def attempt(batch):
    """Trials by (bug, seed, is_planted), as plain values."""
    results = []
    for name, seed, is_planted in batch:
        bug = BY_NAME[name]
        result = {"bug": name, "seed": seed, "is_planted": is_planted, "broken": [], "error": ""}
        try:
            run = simulated(bug, bug.scenario(seed), is_planted=is_planted)
        except Exception as error:  # A protocol without its safeguard may do anything.
            result["error"] = repr(error)
        else:
            result["broken"] = [finding.name for finding in run.check().broken]
        results.append(result)
    return results


def shrunk(name, seed):
    """What is left of a scenario in which a bug was found, as plain values."""
    bug = BY_NAME[name]
    with planted(*bug.condition, *bug.edits):
        begin_s = time.perf_counter()
        found = sim.shrink(run_scenario(bug.scenario(seed)), bug.check)
        seconds = time.perf_counter() - begin_s
    sizes = ("fault_count", "operation_count", "node_count", "duration_ms", "runs")
    told = {size: getattr(found, size) for size in sizes}
    return {"bug": name, "seed": seed, "seconds": round(seconds, 1), **told}
