"""Leader election: the candidate with promises of a quorum and the most up-to-date log wins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Final, Literal

from vectorkit.display import record_table
from vectorkit.replication.member import Member
from vectorkit.replication.protocol.effects import RoleChanged
from vectorkit.replication.protocol.epochs import epoch_of, round_of, slot_of
from vectorkit.replication.protocol.messages import (
    Announce,
    Message,
    Prepare,
    Promise,
    Reject,
    StartElection,
)
from vectorkit.replication.role import Reason, Role, RoleName, earliest
from vectorkit.units import NS_PER_MS

_RAISES_MAX: Final = 3
"""How often one attempt continues with a higher epoch after a higher promise rejected it."""


@dataclass(slots=True)
class Promotion:
    """Describe one attempt of a node to become master, finished or not.

    Attributes:
        answered: ids of the nodes that answered.
        missing: ids of the nodes that did not answer.
        residual_lag: operations behind the highest offset that any participant knew.
        reason: why the attempt did not succeed.

    >>> Promotion("node-1", epoch=131073).state
    'asking'
    """

    node: str
    epoch: int
    is_forced: bool = False
    state: Literal["asking", "won", "delegated", "refused", "failed"] = "asking"
    answered: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    residual_lag: int = 0
    reason: str = ""

    def _repr_html_(self) -> str:
        return record_table(self)


class CandidateRole(Role):
    """Run an election: ask all nodes to promise an epoch above any that this node has seen.

    Once `quorum` slots of intact nodes have answered, this one included, the most up-to-date log
    wins: first by the epoch of the last durable record, then by offset. If another node has it,
    this node withdraws and asks that node to start an election. `win` and `give_up` make the role
    that follows.
    """

    name: ClassVar[RoleName] = "candidate"

    def __init__(
        self,
        member: Member,
        reason: Reason,
        *,
        win: Callable[[Promotion], Role],
        give_up: Callable[[], Role],
        is_forced: bool = False,
        max_lag_operations: int | None = None,
    ) -> None:
        super().__init__(member)
        self._reason = reason
        self._win = win
        self._give_up = give_up
        self._max_lag = max_lag_operations
        term = round_of(max(member.promise, member.heard_epoch)) + 1
        self.promotion = Promotion(member.id, epoch_of(term, member.index), is_forced)
        self._answers: dict[int, Promise] = {}
        self._raises_left = _RAISES_MAX
        self._has_asked = False
        self._is_chosen = False
        self._ends_ns = member.now_ns + member.options.stand_timeout_ms * NS_PER_MS
        self._ask_again_ns: int | None = None

    @property
    def epoch(self) -> int:
        """The epoch of the election."""
        return self.promotion.epoch

    @property
    def missing(self) -> list[str]:
        """The nodes that have not answered yet."""
        return [
            node_id
            for slot, node_id in enumerate(self.member.node_ids)
            if slot not in self._answers
        ]

    def start(self) -> None:
        """Promise the epoch itself. As in Raft it must be durable before the node asks."""
        epoch = self.epoch
        self.member.outbox.add(
            RoleChanged(self.name, epoch, self.promotion.is_forced, self._reason)
        )
        self.member.make_promise(epoch, partial(self._ask, epoch))

    def tick(self) -> None:
        """Ask the silent nodes again, or give up."""
        member = self.member
        if self._is_chosen:
            return
        if member.now_ns >= self._ends_ns:
            is_forced = self.promotion.is_forced or member.options.quorum == "none"
            if is_forced and self._has_asked and not member.is_lost:
                self.promotion.is_forced = True
                self._choose()
            else:
                self._fail("failed", "too few intact nodes have answered")
        elif self._ask_again_ns is not None and member.now_ns >= self._ask_again_ns:
            self._send_prepares()

    def receive(self, source: str, message: Message) -> None:
        """Count a promise, or react to a rejection that names a higher promise."""
        match message:
            case Promise() if message.epoch == self.epoch and self._has_asked:
                self.member.note_offset(message.heard_offset)
                self._answers[slot_of(message.index)] = message
                self._count()
            case Reject() if message.epoch == self.epoch:
                self.member.heard_epoch = max(self.member.heard_epoch, message.promise)
                if message.promise > self.epoch:
                    self._raise(f"{source} has promised a higher epoch")
            case _:
                pass

    def on_announce(self, source: str, message: Announce) -> None:
        """Give up: another node serves a higher epoch already."""
        if message.epoch > self.epoch:
            self._fail("failed", f"{source} serves a higher epoch")

    def on_flushed(self) -> None:
        """A chosen candidate serves once its whole log is flushed and applied."""
        if self._is_chosen:
            self._serve_if_ready()

    def end(self) -> None:
        """Record an undecided election as failed: another node asks for a higher epoch."""
        if self.promotion.state == "asking":
            self.member.failed_elections += 1
            self._note_answers()
            self.promotion.state = "failed"
            self.promotion.reason = "another node stands for a higher epoch"

    def due_ns(self) -> int | None:
        """Return the end of the attempt, or the next time to ask."""
        return None if self._is_chosen else earliest(self._ends_ns, self._ask_again_ns)

    def _raise(self, reason: str) -> None:
        """Continue with an epoch above the rejecting promise; answers so far no longer count."""
        if self._raises_left == 0:
            self._fail("failed", reason)
            return
        self._raises_left -= 1
        member = self.member
        self.promotion.epoch = epoch_of(round_of(member.heard_epoch) + 1, member.index)
        self._answers.clear()
        self._has_asked = False
        self._ask_again_ns = None
        member.make_promise(self.epoch, partial(self._ask, self.epoch))

    def _ask(self, epoch: int) -> None:
        member = self.member
        if member.role is not self or not epoch == self.epoch == member.promise:
            return
        self._has_asked = True
        here = member.flushed
        own = Promise(self.epoch, member.index, here.epoch, here.offset, member.heard_offset)
        self._answers[member.slot] = own
        self._send_prepares()
        self._count()

    def _send_prepares(self) -> None:
        member = self.member
        for slot, node_id in enumerate(member.node_ids):
            if slot not in self._answers:
                member.outbox.send(node_id, Prepare(self.epoch, member.index))
        self._ask_again_ns = member.now_ns + member.options.resend_after_ms * NS_PER_MS

    def _count(self) -> None:
        if not self._is_chosen and len(self._answers) >= self.member.quorum:
            self._choose()

    def _choose(self) -> None:
        """Choose the most up-to-date answer; prefer this node if equal."""
        own = _rank(self._answers[self.member.slot])
        best = max(
            sorted(self._answers),
            key=lambda slot: (_rank(self._answers[slot]), slot == self.member.slot),
        )
        self._note_answers()
        if _rank(self._answers[best]) > own and not self.promotion.is_forced:
            self.member.outbox.send(self.member.node_ids[best], StartElection(self.epoch))
            self._fail("delegated", f"{self.member.node_ids[best]} has the greater log")
            return
        heard = max(
            self.member.heard_offset, *(each.heard_offset for each in self._answers.values())
        )
        self.promotion.residual_lag = max(0, heard - own[1])
        if self._max_lag is not None and self.promotion.residual_lag > self._max_lag:
            self._fail("refused", f"lag {self.promotion.residual_lag} above {self._max_lag}")
            return
        self._is_chosen = True
        self._serve_if_ready()

    def _serve_if_ready(self) -> None:
        member = self.member
        if member.is_poisoned:
            self._fail("failed", "an operation of its own log cannot be applied")
        elif member.applied_offset == member.log.head.offset == member.flushed.offset:
            self.promotion.state = "won"
            member.failed_elections = 0
            member.switch_role(self._win(self.promotion))

    def _fail(self, state: Literal["delegated", "refused", "failed"], reason: str) -> None:
        self.member.failed_elections += 1
        self._note_answers()
        self.promotion.state, self.promotion.reason = state, reason
        self.member.switch_role(self._give_up())

    def _note_answers(self) -> None:
        ids = self.member.node_ids
        self.promotion.answered = [ids[slot] for slot in sorted(self._answers)]
        self.promotion.missing = self.missing


def _rank(answer: Promise) -> tuple[int, int]:
    return answer.last_epoch, answer.flushed_offset
