"""Bugs of streams, snapshots, logs and copies."""

from functools import partial

from tests.planted import schedules as on
from tests.planted.bug import CAUSE, DIGESTS, POISON, Bug
from tests.planted.edits import Edit
from vectorkit import sim

COPIES = (
    Bug(
        name="gap_between_snapshot_and_stream",
        row=6,
        what="a snapshot that waits for the disk is sent under the offset of that later moment",
        edits=(
            Edit(
                "Offers.release_held",
                "            peer.is_held = False\n",
                "            peer.is_held = False\n"
                "            peer.source.position = member.log.head\n"
                "            peer.answer = peer.source.header(peer.generation, self._epoch,\n"
                "                peer.answer.reason, peer.answer.shared_offset)\n",
            ),
        ),
        scenario=partial(
            on.absent_replica,
            workload=sim.Workload(writes_per_s=100, source="uniform:20x4", delete_share=0.2),
            log_capacity_operations=20,
            chunk_bytes=128,
            failover=False,
            disk=sim.Disk(fsync_ms=20),
        ),
        check=CAUSE,
    ),
    Bug(
        name="damaged_snapshot_installed",
        row=7,
        what="neither a chunk's checksum nor the digest of the whole is looked at",
        edits=(
            Edit(
                "SnapshotAssembly.accept",
                "zlib.crc32(chunk.data) == chunk.checksum",
                "True",
            ),
            Edit(
                "SnapshotAssembly.build",
                " or store.digest() != self.header.digest",
                "",
            ),
        ),
        scenario=partial(
            on.absent_replica,
            workload=sim.Workload(writes_per_s=60, source="uniform:20x4"),
            log_capacity_operations=10,
            chunk_bytes=128,
            failover=False,
            link=sim.Link(delay_ms=1, corruption=0.05),
        ),
        check=DIGESTS,
    ),
    Bug(
        name="chunks_of_two_snapshots",
        row=7,
        what="chunks of a lost connection are put together with those of a later snapshot",
        edits=(
            Edit(
                "SnapshotAssembly.__init__",
                "if earlier is not None and earlier.header.snapshot == header.snapshot:",
                "if earlier is not None:",
            ),
            Edit(
                "Offers.resumable",
                "        if kept is None or",
                "        if True or kept is None or",
            ),
            Edit(
                "SnapshotAssembly.build",
                " or store.digest() != self.header.digest",
                "",
            ),
        ),
        scenario=on.syncs_cut_short,
        check=CAUSE,
    ),
    Bug(
        name="syncs_without_end",
        row=8,
        what="a replica asks for one full sync after the other, however many failed",
        edits=(
            Edit(
                "ReplicaRole._reconnect",
                "is_hopeless = self._sync_attempts >= self.member.options.sync_attempts_max",
                "is_hopeless = False",
            ),
        ),
        scenario=on.endless_syncs,
        check="full_syncs_are_bounded",
    ),
    Bug(
        name="full_sync_takes_back",
        row=8,
        what="a node with its state installs a snapshot from before what it has acked",
        edits=(
            Edit(
                "ReplicaRole._on_start_full",
                "if is_below and not self.member.is_lost:",
                "if False:",
            ),
        ),
        condition=(
            POISON,
            Edit(
                "Offers._pinned",
                "if self._source is None or self._source.position != head:",
                "if self._source is None:",
            ),
        ),
        scenario=on.poisoned_while_another_returns,
        check="applied_exactly_once",
    ),
    Bug(
        name="off_by_one_at_the_rings_edge",
        row=9,
        what="a replica that needs just the oldest record still held takes a full sync",
        edits=(
            Edit(
                "ReplicationLog.refusal",
                "position.offset < self.base.offset",
                "position.offset <= self.base.offset",
            ),
        ),
        scenario=partial(
            on.absent_replica,
            workload=sim.Workload(writes_per_s=10, source="uniform:20x4"),
            log_capacity_operations=6,
        ),
        check=CAUSE,
    ),
    Bug(
        name="duplicates_not_dropped",
        row=16,
        what="records that have come before are taken again",
        edits=(
            Edit(
                "Stream.take",
                "fresh = [each for each in batch.records if each.offset > head_offset]",
                "fresh = list(batch.records)",
            ),
            Edit(
                "ReorderBuffer.next_after",
                "if batch.records[-1].offset > head_offset:",
                "if True:",
            ),
        ),
        scenario=partial(
            on.crashes, link=sim.Link(delay_ms=2, jitter_ms=10, loss=0.1, duplication=0.2)
        ),
        check=CAUSE,
    ),
    Bug(
        name="writes_made_twice",
        row=16,
        what="a second copy of a client's write is another write",
        edits=(
            Edit(
                "PendingRequests._is_copy",
                "if request in seen or request <= forgotten:",
                "if False:",
            ),
        ),
        scenario=partial(on.crashes, link=sim.Link(delay_ms=2, jitter_ms=10, duplication=0.05)),
        check="writes_are_made_once",
    ),
    Bug(
        name="generations_not_compared",
        row=17,
        what="messages of an earlier connection are taken for those of this one",
        edits=(
            Edit(
                "ReplicaRole.receive",
                '        if getattr(message, "generation", None) != self._generation:\n'
                "            return\n",
                "",
            ),
            Edit(
                "MasterRole._on_connection",
                ' or getattr(message, "generation", None) != peer.generation',
                "",
            ),
        ),
        scenario=partial(
            on.absent_replica,
            workload=sim.Workload(writes_per_s=60, source="uniform:20x4"),
            log_capacity_operations=10,
            chunk_bytes=128,
            failover=False,
            link=sim.Link(delay_ms=1, jitter_ms=60, loss=0.05),
        ),
        check=CAUSE,
    ),
    Bug(
        name="deletes_resurrect",
        row=22,
        what="a full sync adds to the rows that are there instead of replacing them",
        edits=(
            Edit(
                "Member.install",
                "    self._applier.install(built)",
                "    for name in [each for each in self.store if each in built]:\n"
                "                old, new = self.store[name], built[name]\n"
                "                gone = [row for row in old.ids() if row not in new]\n"
                "                for row in gone:\n"
                "                    vector, payload = old.get(row).vector, old.payload(row)\n"
                "                    built.upsert(name, [row], [vector], payloads=[payload])\n"
                "            self._applier.install(built)",
            ),
        ),
        scenario=partial(
            on.absent_replica,
            workload=sim.Workload(
                writes_per_s=60,
                reads_per_s=20,
                read_policy="round_robin",
                source="uniform:20x4",
                delete_share=0.4,
                insert_share=0.3,
            ),
            log_capacity_operations=4,
            failover=False,
        ),
        check="deletes_stay_deleted",
    ),
    Bug(
        name="visible_before_it_is",
        row=23,
        what="a replica names as visible what it has applied and readers do not see yet",
        edits=(
            Edit(
                "Member.ack",
                "applied.offset, visible.offset)",
                "applied.offset, applied.offset)",
            ),
        ),
        scenario=partial(on.crashes, stage="visible", refresh_ms=60),
        check="positions_are_in_order",
    ),
    Bug(
        name="snapshot_in_another_order",
        row=24,
        what="a store rebuilt from a snapshot has its rows in another order",
        edits=(
            Edit(
                "StoreSnapshot.operations",
                "ids, vectors, payloads = snapshot.ids(), snapshot.vectors(), snapshot.payloads()",
                "order = sorted(range(len(snapshot.ids())), key=lambda i: snapshot.ids()[i])\n"
                "            ids = [snapshot.ids()[i] for i in order]\n"
                "            vectors = snapshot.vectors()[order]\n"
                "            payloads = [snapshot.payloads()[i] for i in order]",
            ),
        ),
        scenario=on.answers_compared,
        check="equal_histories_answer_alike",
    ),
    Bug(
        name="deletes_not_replicated",
        row=26,
        what="a mutator of the store does not reach the log",
        edits=(
            Edit(
                "Node.append",
                "        assert isinstance(self.role, MasterRole)\n",
                "        if type(operation).__name__ == 'Delete':\n            return\n",
            ),
        ),
        scenario=partial(
            on.absent_replica,
            workload=sim.Workload(
                writes_per_s=20,
                reads_per_s=20,
                source="uniform:20x4",
                delete_share=0.1,
            ),
        ),
        check=CAUSE,
    ),
    Bug(
        name="one_offset_for_a_burst",
        row=27,
        what="writes of one moment get one offset",
        edits=(
            Edit(
                "Member.append",
                "        if self.log.head.offset < offset:\n"
                "            self.log.append(operation, epoch=epoch, now_ns=self.now_ns,"
                " encoded=encoded)\n"
                "        entry = self.log.entry(offset)\n",
                "        entry = self.log.append(operation, epoch=epoch, now_ns=self.now_ns,"
                " encoded=encoded)\n"
                "        offset = entry.record.offset\n",
            ),
            Edit(
                "ReplicationLog.append",
                "self.head.offset + 1, operation",
                "self.head.offset + (self.head.offset not in self._entries"
                " or self._entries[self.head.offset].appended_ns != now_ns), operation",
            ),
            Edit(
                "ReplicationLog.extend",
                "assert record.offset == self.head.offset + 1, (record.offset, self.head.offset)",
                "assert record.offset",
            ),
        ),
        scenario=on.bursts,
        check="offsets_are_dense",
    ),
    Bug(
        name="poison_for_ever",
        row=28,
        what="a full sync does not end the quarantine: the node stops at its next operation",
        edits=(
            Edit(
                "Member.install",
                "self.is_lost = self.is_poisoned = False",
                "self.is_lost = False",
            ),
        ),
        condition=(POISON,),
        scenario=partial(
            on.absent_replica,
            workload=sim.Workload(writes_per_s=20, source="uniform:20x4"),
            failover=False,
        ),
        check=CAUSE,
    ),
    Bug(
        name="loss_answered_by_full_sync",
        row=30,
        what="a gap in the stream is answered by another snapshot",
        edits=(
            Edit(
                "ReplicaRole._on_records",
                "        self.stream.hold(message)\n",
                "        if self.state == 'streaming' and (\n"
                "            message.records[0].offset > self.member.received_offset + 1\n"
                "        ):\n"
                "            self._reconnect(wants='different_history')\n"
                "            return\n"
                "        self.stream.hold(message)\n",
            ),
        ),
        scenario=partial(
            on.absent_replica,
            workload=sim.Workload(writes_per_s=100, source="uniform:20x4"),
            link=sim.Link(delay_ms=2, jitter_ms=20, loss=0.05),
        ),
        check=CAUSE,
    ),
)
