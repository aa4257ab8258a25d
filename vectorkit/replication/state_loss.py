"""Coming back without state: hear every other node's promise first, then take a full sync."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from vectorkit.replication.member import Member
from vectorkit.replication.protocol.effects import RoleChanged
from vectorkit.replication.protocol.epochs import slot_of
from vectorkit.replication.protocol.messages import AskPromise, Message, TellPromise
from vectorkit.replication.role import Role, RoleName
from vectorkit.units import NS_PER_MS


class ReturningRole(Role):
    """A node without state. It makes no promise, starts no election and confirms nothing.

    Under its new index it asks all other nodes for their promises; both sides also exchange all
    that they know of indices. A slot counts as heard when its newest index reported its promise, or
    as long as that index is retired. The node that got the command to retire it may not know
    that a replacement is back, so the newest index that any node knows decides, not the command.
    Then the node follows a master at least as high as any promise, and a full sync gives it its
    state. `follow` makes the role that does this.
    """

    name: ClassVar[RoleName] = "returning"

    def __init__(self, member: Member, follow: Callable[[], Role]) -> None:
        super().__init__(member)
        self._follow = follow
        self._ask_again_ns = member.now_ns

    @property
    def missing(self) -> list[str]:
        """The nodes that have not answered yet."""
        return self.member.unheard

    def start(self) -> None:
        """Ask at once."""
        self.member.outbox.add(RoleChanged(self.name, 0))
        self.tick()

    def tick(self) -> None:
        """Ask again those who have not answered."""
        member = self.member
        if member.now_ns < self._ask_again_ns:
            return
        for node_id in self.missing:
            member.outbox.send(node_id, AskPromise(member.index, member.known))
        self._ask_again_ns = member.now_ns + member.options.backoff_ms_min * NS_PER_MS
        self._go_on()

    def receive(self, source: str, message: Message) -> None:
        """What another node has promised."""
        if isinstance(message, TellPromise) and message.asker == self.member.index:
            self.member.heard[slot_of(message.index)] = message
            self._go_on()

    def due_ns(self) -> int | None:
        """The next time to ask."""
        return self._ask_again_ns

    def _go_on(self) -> None:
        if not self.missing:
            member = self.member
            promises = [each.promise for each in member.heard.values()]
            member.promise = max(member.promise, *promises, 0)
            member.switch_role(self._follow())
