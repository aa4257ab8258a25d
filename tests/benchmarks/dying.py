"""A suite whose process dies."""

import os
import signal


def rows(plan):
    os.kill(os.getpid(), signal.SIGKILL)
    yield
