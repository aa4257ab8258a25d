"""The records that describe a write: the plan before the commit, and the work left after it.

All of them are immutable. A `Head` is the whole state of a collection. A write is committed at the
moment at which the collection stores a new head.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from vectorkit.collections.backends.base import Block, Learned, Step
from vectorkit.collections.backends.buffer import WriteBuffer
from vectorkit.collections.results import WriteResult
from vectorkit.collections.storage.tables import Tables
from vectorkit.types import Id, Int32Array, Payload


class Change(NamedTuple):
    """A planned write. `make` commits it; a second call before another write changes nothing.

    After an exception, `has_happened` says whether the write was committed. If it was, the next
    call of the collection finishes it.
    """

    make: Callable[[], WriteResult]
    has_happened: Callable[[], bool]


class Growth(NamedTuple):
    """The arrays of the rows grew: the version, and the capacity before and after."""

    version: int
    before: int
    after: int


class Published(NamedTuple):
    """A block that takes a place: that of the present block there, or the one behind the last.

    `keeps_pins`: readers of the present block hold this one, too.
    """

    place: int
    block: Block
    keeps_pins: bool = False


def published_at(blocks: Sequence[Block], places: set[int]) -> tuple[Published, ...]:
    """Publish the blocks at these places, from the first to the last."""
    return tuple([Published(place, blocks[place]) for place in sorted(places)])


class Rows(NamedTuple):
    """What a write does to the rows on the devices.

    `accepted` is the number of rows that the buffer holds afterwards. `steps` change present blocks
    in place, none of them at a place where a block is `published`.
    """

    accepted: int
    learned: Learned
    steps: tuple[Step, ...] = ()
    published: tuple[Published, ...] = ()


class Redo(NamedTuple):
    """The work that is left of a committed write. It is idempotent: it may be done twice.

    `slots` are the changed slots: one or several; None if this changes no rows, or if the end of
    the buffer names the slot. `payloads` belong to `payload_slots`. `ids` and `id_payloads` belong
    to the slots from `appended_at` on. A delete writes the ids `moved` into the slots `moved_to`,
    and removes the ids `gone`.
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
    """The state of a collection, replaced as a whole by one assignment.

    The collection has `size` rows. `accepted` counts the rows that wait in the buffer. `redo` is
    the work that is left of the last write.
    """

    version: int
    size: int
    buffer: WriteBuffer
    accepted: int
    redo: Redo | None
