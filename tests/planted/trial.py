"""One trial: a scenario with, or without, its planted bug, and what the checks say."""

import warnings

from tests.planted.bugs import BY_NAME
from tests.planted.edits import planted
from vectorkit import sim


def simulated(bug, scenario, *, is_planted=True):
    """The run of a scenario, with the bug or without it."""
    edits = (*bug.condition, *bug.edits) if is_planted else bug.condition
    with planted(*edits), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of syncs that never end: here they are meant.
        return sim.simulate(scenario)


def attempt(batch):
    """Trials by (bug, seed, is_planted), as plain values."""
    results = []
    for name, seed, is_planted in batch:
        bug = BY_NAME[name]
        result = {"bug": name, "seed": seed, "is_planted": is_planted, "broken": [], "error": ""}
        try:
            run = simulated(bug, bug.scenario(seed), is_planted=is_planted)
        except Exception as error:  # A protocol without its safeguard may do anything.
            result |= {"error": repr(error), "events": 0}
        else:
            broken = [finding.name for finding in run.check().broken]
            result |= {"broken": broken, "events": run.event_count}
        results.append(result)
    return results
