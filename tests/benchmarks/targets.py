"""What processes of the tests run: by name, so that a spawned process finds it."""

import os
import signal

from benchmarks.peers.floors import NumpyDict
from benchmarks.rows import Row


def tells_its_cores(connection):
    connection.send((len(os.sched_getaffinity(0)), os.environ.get("OMP_NUM_THREADS")))


def dies(connection):
    os.kill(os.getpid(), signal.SIGSEGV)


def says_nothing(connection):
    connection.recv()


class Crashes(NumpyDict):
    """A peer that takes its process with it, as native code may."""

    def search(self, queries, k):
        os.kill(os.getpid(), signal.SIGSEGV)


class Raises(NumpyDict):
    """A peer that cannot do what it is asked."""

    def search(self, queries, k):
        raise ValueError("no such index")


class Stranger:
    """A peer whose package is not installed."""

    def __init__(self, cores):
        import a_package_that_is_not_installed  # noqa: F401


class Forgets(NumpyDict):
    """A peer that answers with rows that it was told to delete."""

    def delete(self, ids):
        """Nothing happens."""


class Ignores(NumpyDict):
    """A peer that goes on answering with what its rows were before."""

    def update(self, ids, rows):
        """Nothing happens."""


def rows(plan):
    """A suite of two rows, of which the second breaks off."""
    yield Row(case="one", values={"cores_count": plan.cores})
    raise RuntimeError("the second row is broken")
