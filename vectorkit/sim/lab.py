"""The laboratory of faults, for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vectorkit.accessors import load
from vectorkit.records import check_type
from vectorkit.sim.scenario import Scenario

if TYPE_CHECKING:
    from vectorkit.accessors import NotebookView


def fault_lab(base: Scenario | None = None) -> NotebookView:
    """Choose faults, write concern, failover and seed; see loss, lag, checks, and the code.

    It opens with the run of a master that is cut off, or of `base`, whose load, links and own
    faults stay. Without ipywidgets that run is shown as it stands.

    >>> lab = fault_lab()
    >>> lab.outcome.lost, lab.code.value.splitlines()[0]
    (160, 'from vectorkit import sim')
    """
    if base is not None:
        check_type("base", base, Scenario)
    view: NotebookView = load("fault_lab")(base)
    return view
