"""Progress: steps and reached values add up, and a bar is closed whatever happens."""

import os
import subprocess
import sys
from io import StringIO

import pytest
from tqdm.auto import tqdm

from vectorkit.progress import Progress, progress

PROGRAM = """\
from vectorkit.progress import progress
with progress("counting", total=4, unit="n") as bar:
    bar.step()
    bar.reach(3)
"""


def test_steps_and_reached_values_add_up():
    with tqdm(total=10, disable=False, file=StringIO()) as tracked:
        bar, seen = Progress(tracked), []
        for move in (bar.step, lambda: bar.reach(7.5), bar.step, lambda: bar.reach(10)):
            move()
            seen.append(tracked.n)
    assert seen == [1, 7.5, 8.5, 10]


def test_a_user_sees_a_bar_with_its_title_on_standard_error():
    environment = {name: value for name, value in os.environ.items() if name != "TQDM_DISABLE"}
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    shown = done.stderr.split()
    assert (done.stdout, shown[:2]) == ("", ["counting:", "0%|"])
    assert shown[shown.index("75%|███████▌") + 2] == "3/4"


def test_an_error_within_the_block_passes_through():
    def fail():
        with progress("counting", total=4, unit="n") as bar:
            bar.reach(3)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
