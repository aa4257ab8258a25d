"""What a planted bug is: a safeguard taken out, the schedule that needs it, the check for it."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.planted.edits import Edit
from vectorkit import sim

SURVIVE = "acknowledged_writes_survive"
CAUSE = "full_syncs_have_a_cause"
DIGESTS = "equal_histories_have_equal_digests"


@dataclass(frozen=True, kw_only=True)
class Bug:
    """A safeguard that is taken out, the schedule that needs it, and the check that notices."""

    name: str
    row: int
    """Of the fault catalogue."""
    what: str
    """What goes wrong without the safeguard, in a line."""
    edits: tuple[Edit, ...]
    scenario: Callable[[int], sim.Scenario]
    check: str
    """The check that is there for it; others may notice too."""
    condition: tuple[Edit, ...] = ()
    """Made in the sound protocol too: what the safeguard has to cope with."""


POISON = Edit(
    "Member._apply",
    "                self._applier.apply(entry.record.operation, entry)\n",
    "                if offset == 12 and self.slot == 1:\n"
    "                    raise VectorKitError('poison', got='', wanted='', remedy='')\n"
    "                self._applier.apply(entry.record.operation, entry)\n",
)
"""An operation that one node cannot apply."""
