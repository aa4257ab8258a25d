"""Several small changes as one: no exception can arrive between them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import starmap
from operator import call
from typing import Any

Calls = list[tuple[Callable[[Any], Any], Any]]
"""Functions of C, each with its one argument."""


def at_once(*calls: tuple[Callable[[Any], Any], Any]) -> None:
    """Call functions of C with one argument each, such as `list.append`, within one bytecode.

    A signal handler runs between two bytecodes, so an exception that it raises arrives before all
    of the calls or after them.

    >>> one, other = [], []
    >>> at_once((one.append, 1), (other.append, 2))
    >>> one, other
    ([1], [2])
    """
    deque(starmap(call, calls), maxlen=0)
