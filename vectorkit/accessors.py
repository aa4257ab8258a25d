"""Features that an object offers but a higher layer implements: plots, dashboards, the fault lab.

The package root stands above all layers and provides a loader for each feature; an object asks
for the feature by name. So `run.plot.health()` draws, and the simulator does not import the plots.
A loader is called when its feature is first used, so that `import vectorkit` stays cheap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

from vectorkit.errors import InvalidInput

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Axes", "Feature", "NotebookView", "load", "provide"]

Feature = Literal["plot", "dashboard", "fault_lab"]
"""`plot` is the package of plots; the others are functions that return a NotebookView."""

_loaders: Final[dict[Feature, Callable[[], Any]]] = {}


class NotebookView:
    """Base class of what a notebook shows with controls, or as a still where it has no widgets.

    A subclass has `_repr_mimebundle_` or `_repr_html_`.
    """


def provide(feature: Feature, loader: Callable[[], Any]) -> None:
    """Set the function that returns a feature; a later call replaces it."""
    _loaders[feature] = loader


def load(feature: Feature) -> Any:
    """Return a feature. Raises InvalidInput where none is provided.

    >>> load("plot").__name__
    'vectorkit.plot'
    """
    if feature not in _loaders:
        raise InvalidInput(
            "no module provides this feature",
            got=repr(feature),
            wanted=" or ".join(map(repr, _loaders)) or "a feature that vectorkit provides",
            remedy="import vectorkit before you use it",
        )
    return _loaders[feature]()
