"""Base class of the roles of a node. A node has exactly one role at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from vectorkit.errors import ReadOnlyReplica
from vectorkit.replication.member import Member
from vectorkit.replication.protocol.messages import Announce, Message, Seek, StartElection

RoleName = Literal["master", "replica", "candidate", "returning"]
Reason = Literal["command", "silence", "served_last", "requested", "promise"]
"""Why a node starts an election: a command of an operator, silence of its master, no master after
its restart though it served last, the request of a candidate that withdrew, or a promise above its
own epoch."""


def earliest(first_ns: int | None, other_ns: int | None) -> int | None:
    """Return the earlier of two deadlines; None means never.

    >>> earliest(5, 3), earliest(None, 3), earliest(None, None)
    (3, 3, None)
    """
    if first_ns is None or (other_ns is not None and other_ns < first_ns):
        return other_ns
    return first_ns


class Role(ABC):
    """A pure state machine over its member. A change of role discards the whole object."""

    name: ClassVar[RoleName]

    def __init__(self, member: Member) -> None:
        self.member = member

    @property
    def master_id(self) -> str | None:
        """Id of the master that the node follows or is; None if it knows none."""
        return None

    @property
    def epoch(self) -> int:
        """The epoch that the node serves or follows."""
        return self.member.promise

    def admit(self) -> None:
        """Raise WriteRefused if clients may not write here."""
        master = self.master_id
        raise ReadOnlyReplica(
            f"{self.member.id} is a {self.name if self.name != 'returning' else 'replica'}",
            got="a write",
            wanted="reads only",
            remedy=f"write to its master, {master}" if master else "wait until there is a master",
        )

    def start(self) -> None:
        """Begin; called when the node has switched to this role."""

    def end(self) -> None:
        """Finish; called before the node switches to another role."""

    @abstractmethod
    def tick(self) -> None:
        """Act on deadlines that have passed."""

    def receive(self, source: str, message: Message) -> None:
        """Handle a message whose answer depends on the role."""

    def on_announce(self, source: str, message: Announce) -> None:
        """Handle an announcement of a master whose epoch is at or above the promise."""

    def on_master(self, source: str, epoch: int) -> None:
        """Handle any other sign of the master of `epoch`."""

    def on_seek(self, source: str, message: Seek) -> None:
        """Handle a node's search for a master."""

    def on_start_election(self, message: StartElection) -> None:
        """Handle the request of a candidate that withdrew in favour of this node."""

    def on_replaced(self, node_id: str) -> None:
        """Discard what the old index of a replaced or retired node sent."""

    def on_flushed(self) -> None:
        """Continue after a flush: the disk holds more records, and the store has applied them."""

    def on_installed(self) -> None:
        """Continue after a snapshot replaced the store and the history."""

    def lag_ns(self, now_ns: int) -> int:
        """Upper bound of the lag: time since the node last equalled its master, or started."""
        return now_ns - self.member.equal_ns

    def staleness_ns(self, now_ns: int) -> int | None:
        """Upper bound of the staleness of reads here; None if the node knows none."""
        return None

    @abstractmethod
    def due_ns(self) -> int | None:
        """Return when to call `tick` next; the node asks after every transition."""
