"""The sound protocol under random faults: nothing that it promises is broken, whatever is drawn.

`VECTORKIT_SEEDS=2000:4000` tries other seeds; `python -m vectorkit hunt` tries many.
"""

import os
from functools import cache

import pytest

from vectorkit.sim.fuzzing.hunt import try_seed

FIRST, LAST = map(int, os.environ.get("VECTORKIT_SEEDS", "0:20").split(":"))
PROMISES = {
    "acknowledged_writes_survive",
    "acknowledged_writes_share_a_branch",
    "no_ack_below_a_promise",
    "linearizable",
    "bounded_staleness",
    "read_your_writes",
    "deletes_stay_deleted",
    "status_is_honest",
}


trial_of = cache(try_seed)


@pytest.mark.parametrize("seed", range(FIRST, LAST))
def test_a_seed_breaks_nothing_and_every_node_comes_into_line_or_says_why(seed):
    assert trial_of(seed).finds == ()


def test_the_seeds_together_put_every_promise_to_the_test():
    verdicts = {each for seed in range(FIRST, LAST) for each in trial_of(seed).verdicts}
    assert {name for name, verdict in verdicts if verdict == "held"} >= PROMISES
