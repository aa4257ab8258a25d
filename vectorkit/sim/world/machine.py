"""One node with what it runs on: a disk, a clock of its own, and a life that can end."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from vectorkit.errors import LimitReached
from vectorkit.replication import Node
from vectorkit.replication.node import first_image
from vectorkit.replication.protocol.durable import Image
from vectorkit.replication.protocol.effects import Effect
from vectorkit.replication.protocol.epochs import SLOT_BITS
from vectorkit.replication.protocol.messages import Message
from vectorkit.sim.options import ClusterOptions, Disk
from vectorkit.sim.world.disk import DiskDrive

_PPM: Final = 1_000_000
INCARNATIONS_MAX: Final = 255


@dataclass(slots=True)
class Clock:
    """A node's monotonic clock: `offset_ns` ahead of true time, and gaining `drift_ppm`.

    >>> Clock(drift_ppm=100).local_ns(1_000_000)
    1000100
    >>> Clock(offset_ns=5).true_ns(local_ns=12)
    7
    """

    offset_ns: int = 0
    drift_ppm: int = 0
    _since_ns: int = 0

    def local_ns(self, true_ns: int) -> int:
        """What it shows at a true time."""
        shown_ns = true_ns + self.offset_ns
        if self.drift_ppm:
            shown_ns += (true_ns - self._since_ns) * self.drift_ppm // _PPM
        return shown_ns

    def true_ns(self, local_ns: int) -> int:
        """The first true time at which it shows at least this."""
        gone_ns = local_ns - self.offset_ns - self._since_ns
        return self._since_ns + -(-gone_ns * _PPM // (_PPM + self.drift_ppm))

    def set(self, true_ns: int, *, drift_ppm: int, jump_ns: int = 0) -> None:
        """Gain at another rate from now on, after a jump; it never shows less than before.

        >>> clock = Clock()
        >>> clock.set(1_000, drift_ppm=-500_000, jump_ns=50)
        >>> clock.local_ns(1_000), clock.local_ns(1_100), clock.true_ns(local_ns=1_100)
        (1050, 1100, 1100)
        """
        self.offset_ns = self.local_ns(true_ns) - true_ns + jump_ns
        self.drift_ppm = drift_ppm
        self._since_ns = true_ns


class Machine:
    """A node's life: it starts from its disk, and only what its disk holds outlives a crash."""

    def __init__(
        self, node_id: str, options: ClusterOptions, now_ns: int, *, offset_ns: int = 0
    ) -> None:
        self.id = node_id
        self.clock = Clock(offset_ns)
        self.incarnation = 0
        self.is_up = True
        self._options = options
        self._protocol = options.protocol
        slot = options.node_ids.index(node_id)
        self.drive = DiskDrive(options.disk or Disk(), first_image(slot))
        self.node = self._new_node(None, now_ns)
        self.life = 0
        """How often it has died: events of an earlier life are void."""
        self.pauses = 0
        """How many faults keep it from running now."""
        self.step_ns = 0
        """How long each transition keeps it busy."""
        self.free_ns = 0
        self.is_busy = False
        """Whether what comes has to wait in its inbox."""
        self.inbox: deque[tuple[str, Any]] = deque()

    def next_incarnation(self) -> int:
        """Return the number of the next life. Raises LimitReached after the last one."""
        taken = self.node.member.index >> SLOT_BITS  # It may have given an index up while it ran.
        number = max(self.incarnation, taken) + 1
        if number > INCARNATIONS_MAX:
            raise LimitReached(
                "a node has started too often",
                got=f"{number} restarts of {self.id}",
                wanted=f"at most {INCARNATIONS_MAX}",
                remedy="crash it less often",
            )
        return number

    def restart(self, now_ns: int) -> list[Effect]:
        """Start again from what the disk holds."""
        self.incarnation = self.next_incarnation()
        self.is_up = True
        if not self._protocol.has_durable_log:
            self.drive.image = Image()
        self.node = self._new_node(self.drive.image, now_ns)
        self.is_busy = self.pauses > 0
        self.node.stop("paused" if self.pauses else "")
        self.node.disk_full(is_full=self.drive.is_full)
        return self.node.start(self.clock.local_ns(now_ns))

    def crash(self, word: int, *, keeps_unsynced: bool, loses_disk: bool) -> int:
        """End its life; how many records beyond the mark its disk has kept."""
        self.is_up = self.is_busy = False
        self.node.stop("crashed")
        self.life += 1
        kept = self.drive.crash(word, keeps_unsynced=keeps_unsynced)
        if loses_disk:
            self.drive.image = Image()
            return 0
        return kept

    def start(self, now_ns: int) -> list[Effect]:
        """Begin, for the first time."""
        return self.node.start(self.clock.local_ns(now_ns))

    def receive(self, source: str, message: Message, now_ns: int, size_bytes: int) -> list[Effect]:
        """Hand a message to the node."""
        return self.node.receive(source, message, self.clock.local_ns(now_ns), size_bytes)

    def tick(self, now_ns: int) -> list[Effect]:
        """Its timer has fired."""
        return self.node.tick(self.clock.local_ns(now_ns))

    def written(self, number: int, now_ns: int) -> list[Effect]:
        """Its disk has written."""
        return self.node.persisted(number, self.clock.local_ns(now_ns))

    def _new_node(self, image: Image | None, now_ns: int) -> Node:
        return Node(
            self.id,
            node_ids=self._options.node_ids,
            now_ns=self.clock.local_ns(now_ns),
            options=self._protocol,
            image=image,
            incarnation=self.incarnation,
        )
