"""Bugs that lose, or falsely acknowledge, writes."""

from functools import partial

from tests.planted import schedules as on
from tests.planted.bug import SURVIVE, Bug
from tests.planted.edits import Edit
from vectorkit import sim

SAFETY = (
    Bug(
        name="quorum_one_short",
        row=1,
        what="a candidate serves with one answer less than N − n",
        edits=(
            Edit(
                "Member.quorum",
                "return nodes - asked if asked",
                "return nodes - asked - 1 if asked",
            ),
        ),
        scenario=on.isolate_master_with_a_client,
        check=SURVIVE,
    ),
    Bug(
        name="acks_below_a_promise",
        row=2,
        what="a replica goes on to ack its old master after it has promised a later epoch",
        edits=(
            Edit(
                "Node._on_prepare",
                "            self._switch_role(self._follow())\n        elif",
                "            if not isinstance(self.role, ReplicaRole):\n"
                "                self._switch_role(self._follow())\n"
                "        elif",
            ),
            Edit(
                "ReplicaRole.receive",
                "source != self._master_id or self._epoch != self.member.promise",
                "source != self._master_id",
            ),
            Edit(
                "ReplicaRole._send_ack",
                "not member.is_lost and self._epoch == member.promise",
                "not member.is_lost",
            ),
        ),
        scenario=on.promotions,
        check="no_ack_below_a_promise",
    ),
    Bug(
        name="old_master_not_fenced",
        row=3,
        what="a master that has promised a later epoch serves on",
        edits=(
            Edit(
                "Node._on_prepare",
                "            self._switch_role(self._follow())\n        elif",
                "            if not isinstance(self.role, MasterRole):\n"
                "                self._switch_role(self._follow())\n"
                "        elif",
            ),
            Edit(
                "PendingRequests.settle",
                "        if member.promise > self._epoch:\n            return\n",
                "",
            ),
        ),
        scenario=on.promotions,
        check="no_ack_below_a_promise",
    ),
    Bug(
        name="position_by_offset",
        row=4,
        what="a replica with another history goes on with the stream where its offset is known",
        edits=(
            Edit(
                "ReplicationLog.refusal",
                'return "" if self.holds(position) else "different_history"',
                'return ""',
            ),
            Edit(
                "Stream.take",
                "            if running != batch.hash:\n                return False\n",
                "",
            ),
        ),
        scenario=on.laggard,
        check="equal_positions_have_equal_history",
    ),
    Bug(
        name="longest_log_wins",
        row=5,
        what="of two answers the one with the higher offset wins, whatever its last epoch",
        edits=(
            Edit(
                "_rank",
                "return answer.last_epoch, answer.flushed_offset",
                "return answer.flushed_offset, answer.last_epoch",
            ),
        ),
        scenario=on.laggard,
        check=SURVIVE,
    ),
    Bug(
        name="ack_before_flush",
        row=10,
        what="a replica confirms records as flushed when they come, not when its disk has them",
        edits=(
            Edit(
                "Member.ack",
                "here = self.flushed",
                "here = self.log.head",
            ),
            Edit(
                "ReplicaRole._take_held",
                "if not is_new or member",
                "if True or not is_new or member",
            ),
        ),
        scenario=partial(on.crashes, disk=sim.Disk(fsync_ms=5)),
        check="acked_is_durable",
    ),
    Bug(
        name="undone_progress_counts",
        row=11,
        what="where a node stands at its handshake counts as confirmed, whatever its history",
        edits=(
            Edit(
                "MasterRole._connect",
                "peer.counted = None  # Only acks of this connection confirm.",
                "peer.counted = Ack(0, hello.position, *4 * [hello.position.offset])",
            ),
        ),
        scenario=on.laggard,
        check=SURVIVE,
    ),
    Bug(
        name="ack_of_a_lost_disk_counts",
        row=11,
        what="what a node acked before it lost its disk counts on after its return",
        edits=(
            Edit(
                "MasterRole.on_replaced",
                "        peer.counted = None\n",
                "",
            ),
            Edit(
                "MasterRole._connect",
                "        peer.counted = None  # Only acks of this connection confirm.\n",
                "",
            ),
        ),
        condition=(
            Edit(
                "Offers._pinned",
                "if self._source is None or self._source.position != head:",
                "if self._source is None:",
            ),
        ),
        scenario=on.ack_from_before_the_loss,
        check=SURVIVE,
    ),
    Bug(
        name="silently_asynchronous",
        row=12,
        what="a write whose concern was not met in time is answered as if it had been",
        edits=(
            Edit(
                "PendingRequests._give_up",
                'self._answer(late, "degraded" if',
                'self._answer(late, "ok" if',
            ),
        ),
        scenario=partial(on.slow_replicas, degrades=True),
        check="acknowledgements_are_backed",
    ),
    Bug(
        name="lost_state_unnoticed",
        row=18,
        what="a node that finds its disk empty takes itself for a new one",
        edits=(
            Edit(
                "Member.recover",
                "self.is_lost = image.is_lost or bool(problem)",
                "self.is_lost = False",
            ),
        ),
        scenario=on.lost_disks,
        check="stateless_nodes_are_silent",
    ),
    Bug(
        name="too_few_promises_heard",
        row=18,
        what="a node without state hears the promises of N − n nodes only before it returns",
        edits=(
            Edit(
                "ReturningRole._go_on",
                "if not self.missing:",
                "if len(self.member.heard) >= self.member.quorum:",
            ),
        ),
        scenario=on.promise_forgotten_with_the_disk,
        check=SURVIVE,
    ),
    Bug(
        name="retired_for_ever",
        row=18,
        what="a slot that was ever retired counts as heard, also after its replacement is back",
        edits=(
            Edit(
                "Member.unheard",
                "and not self.known.is_gone(slot)",
                "and self.known.retired[slot] < 0",
            ),
        ),
        scenario=partial(on.replaced_then_another_lost, how="disk"),
        check="replacements_are_heard",
    ),
    Bug(
        name="indices_not_told",
        row=18,
        what="who tells its promise does not tell of a replacement: a late command hides it",
        edits=(
            Edit(
                "known_of",
                "known = message.known if",
                "known = KnownIndices() if",
            ),
        ),
        scenario=partial(on.replaced_then_another_lost, how="disk", tells_again=True),
        check="replacements_are_heard",
    ),
    Bug(
        name="newest_index_in_memory",
        row=18,
        what="a replacement's index is known in memory only, a retirement for ever",
        edits=(
            Edit(
                "Image.apply",
                "self.known = self.known.merged(change.known)",
                "self.known = KnownIndices(self.known.newest, change.known.retired)",
            ),
        ),
        scenario=partial(on.replaced_then_another_lost, restarts_master=True),
        check="replacements_are_heard",
    ),
    Bug(
        name="promise_lost_with_the_log",
        row=18,
        what="a node whose log is damaged forgets what it has promised",
        edits=(
            Edit(
                "Member.recover",
                "self.promise = self.durable_promise = self.heard_epoch = image.promise",
                "self.promise = self.durable_promise = self.heard_epoch = (\n"
                "            0 if self.is_lost else image.promise\n"
                "        )",
            ),
        ),
        scenario=on.damage_after_a_promise,
        check="promises_never_go_down",
    ),
    Bug(
        name="promise_after_the_handshake",
        row=18,
        what="a node shakes hands with a master before its promise of that epoch is durable",
        edits=(
            Edit(
                "ReplicaRole._follow",
                "if member.durable_promise >= epoch:",
                "if True:",
            ),
            Edit(
                "ReplicaRole.receive",
                "source != self._master_id or self._epoch != self.member.promise",
                "source != self._master_id",
            ),
            Edit(
                "ReplicaRole._send_hello",
                "is_known = self._epoch == member.promise",
                "is_known = True",
            ),
        ),
        condition=(
            # What an index that was replaced has sent is dropped, too: the bug is looked for
            # where that does not stand in for the promise.
            Edit(
                "Node._take",
                "if member.known.refuses(index):",
                "if member.known.refuses(index) and hasattr(message, 'index'):",
            ),
            Edit(
                "ReplicaRole.on_replaced",
                "if node_id == self._master_id and is_refused:",
                "if False:",
            ),
        ),
        scenario=on.snapshot_of_a_dead_master,
        check=SURVIVE,
    ),
    Bug(
        name="lease_by_a_local_clock",
        row=19,
        what="a master that was heard lately by its own clock proves no read to be linearizable",
        edits=(
            Edit(
                "PendingRequests._proven_round",
                "        return sorted(",
                "        now_ns = self._member.now_ns\n"
                "        if any(now_ns - each.last_heard_ns < 500 * NS_PER_MS\n"
                "               for each in self._peers.values()):\n"
                "            return self._round\n"
                "        return sorted(",
            ),
        ),
        scenario=on.slow_clock_of_a_lone_master,
        check="linearizable",
    ),
    Bug(
        name="refusals_at_once",
        row=19,
        what="a master refuses a write for its content by what its store holds now",
        edits=(
            Edit(
                "PendingRequests.write",
                'self._answer_from_state(source, request, "refused", error.code)',
                'self._reply(source, request, "refused", NOWHERE, error=error.code)',
            ),
        ),
        scenario=on.asked_of_a_deposed_master,
        check="linearizable",
    ),
    Bug(
        name="no_effect_without_a_round",
        row=19,
        what="a write that changes nothing is answered once the head of the log is confirmed",
        edits=(
            Edit(
                "PendingRequests._answer_from_state",
                "number = self._begin_round()",
                "number = 0",
            ),
        ),
        scenario=on.asked_of_a_deposed_master,
        check="linearizable",
    ),
    Bug(
        name="fewer_replicas_fewer_acks",
        row=25,
        what="with fewer replicas counted than asked for, the master's own copy is enough",
        edits=(
            Edit(
                "PendingRequests.confirmed_offset",
                "            return 0\n",
                "            return own\n",
            ),
        ),
        scenario=partial(
            on.absent_replica, workload=sim.Workload(writes_per_s=20, source="uniform:20x4")
        ),
        check="acknowledgements_are_backed",
    ),
    Bug(
        name="acks_of_earlier_epochs_count",
        row=29,
        what="a master counts copies of earlier epochs' records before its own first one",
        edits=(
            Edit(
                "Peer.count",
                "        if ack.position.epoch != epoch:\n            return\n",
                "",
            ),
        ),
        scenario=on.figure_eight,
        check=SURVIVE,
    ),
)
