"""The records of a write: what it is before it happens, and what it asks for once it has.

All of them are immutable. A `Head` is all that says what a collection holds; one store of another
one is the moment at which a write happens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from vectorkit.collections.backend import Block, Learned, Step
from vectorkit.collections.buffer import WriteBuffer
from vectorkit.collections.results import WriteResult
from vectorkit.collections.tables import Tables
from vectorkit.types import Id, Int32Array, Payload


class Change(NamedTuple):
    """A planned write. `make` makes it happen; called again before any other it changes nothing.

    After an exception `has_happened` says whether it has; if so, the next call finishes it.
    """

    make: Callable[[], WriteResult]
    has_happened: Callable[[], bool]


class Growth(NamedTuple):
    """The rows got larger arrays: at which version, from what capacity, to what capacity."""

    version: int
    before: int
    after: int


class Rows(NamedTuple):
    """What a write does to the rows on the devices.

    `accepted` is how many rows the buffer holds afterwards. Otherwise `steps` are run in place,
    and the blocks `published` (place, block, whether its pins go on) take the place of present
    ones; no step is for one of these.
    """

    accepted: int
    learned: Learned
    steps: tuple[Step, ...] = ()
    published: tuple[tuple[int, Block, bool], ...] = ()


class Redo(NamedTuple):
    """What a committed write still asks for; doing it twice is the same as doing it once.

    `slots` are those to mark as changed: one or several, None where there is no write or the
    buffer's end names its slot. `payloads` belong to `payload_slots`, `ids` and
    `id_payloads` to the slots from `appended_at` on. A delete puts `moved` ids into their slots
    and forgets `gone` ones.
    """

    rows: Rows
    tables: Tables
    growth: Growth | None = None
    slots: Int32Array | int | None = None
    payload_slots: Sequence[int] = ()
    payloads: Sequence[Payload | None] = ()
    appended_at: int = 0
    ids: Sequence[Id] = ()
    id_payloads: Sequence[Payload | None] = ()
    moved: Sequence[Id] = ()
    moved_to: Sequence[int] = ()
    gone: Sequence[Id] = ()


class Head(NamedTuple):
    """All that says what a collection holds, replaced by one store.

    `size` rows are there, `accepted` rows of the buffer are among them, and `redo` is what the last
    write still asks for.
    """

    version: int
    size: int
    buffer: WriteBuffer
    accepted: int
    redo: Redo | None
