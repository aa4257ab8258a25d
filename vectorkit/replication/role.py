"""What a node does depends on its role; only one role at a time has it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from vectorkit.errors import ReadOnlyReplica
from vectorkit.replication.member import Member
from vectorkit.replication.protocol.messages import Announce, Message, Seek, StartElection

RoleName = Literal["master", "replica", "candidate", "returning"]
Reason = Literal["command", "silence", "served_last", "requested", "promise"]
"""Why a node stands: an operator's command, its master's silence, the memory of having served last
where no master shows itself, a candidate that made way, a promise above its own epoch."""


def earliest(first_ns: int | None, other_ns: int | None) -> int | None:
    """The earlier of two deadlines, None being later than any.

    >>> earliest(5, 3), earliest(None, 3), earliest(None, None)
    (3, 3, None)
    """
    if first_ns is None or (other_ns is not None and other_ns < first_ns):
        return other_ns
    return first_ns


class Role(ABC):
    """A pure state machine over its member. It is dropped whole when the node gets another role."""

    name: ClassVar[RoleName]

    def __init__(self, member: Member) -> None:
        self.member = member

    @property
    def master_id(self) -> str | None:
        """Whom the node takes for master; None where it knows none."""
        return None

    @property
    def epoch(self) -> int:
        """The epoch that it serves or follows."""
        return self.member.promise

    def admit(self) -> None:
        """Raise WriteRefused where clients may not write."""
        master = self.master_id
        raise ReadOnlyReplica(
            f"{self.member.id} is a {self.name if self.name != 'returning' else 'replica'}",
            got="a write",
            wanted="reads only",
            remedy=f"write to its master, {master}" if master else "wait until there is a master",
        )

    def start(self) -> None:
        """The node has just got this role."""

    def end(self) -> None:
        """The node gets another one now."""

    @abstractmethod
    def tick(self) -> None:
        """A deadline may have come."""

    def receive(self, source: str, message: Message) -> None:
        """A message that not every role answers in the same way."""

    def on_announce(self, source: str, message: Announce) -> None:
        """A master of an epoch at or above the promise has shown itself."""

    def on_master(self, source: str, epoch: int) -> None:
        """The master of an epoch has sent something else that names it."""

    def on_seek(self, source: str, message: Seek) -> None:
        """Another node looks for a master."""

    def on_start_election(self, message: StartElection) -> None:
        """A candidate has made way for this node."""

    def on_replaced(self, node_id: str) -> None:
        """An index of a node was replaced or retired: what it said is void."""

    def on_flushed(self) -> None:
        """The disk holds more of the history, and the store has what of it could be applied."""

    def on_installed(self) -> None:
        """Another store and history are in place."""

    def lag_ns(self, now_ns: int) -> int:
        """How far behind it may be: the time since it last knew itself equal, or came up."""
        return now_ns - self.member.equal_ns

    def staleness_ns(self, now_ns: int) -> int | None:
        """A bound of how old what it shows may be; None where it cannot tell."""
        return None

    @abstractmethod
    def due_ns(self) -> int | None:
        """When `tick` should be called next; asked after every transition."""
