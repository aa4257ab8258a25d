"""Bugs of health, reads, waiting and back-pressure."""

from functools import partial

from tests.planted import schedules as on
from tests.planted.bug import Bug
from tests.planted.edits import Edit
from vectorkit import sim

SERVICE = (
    Bug(
        name="one_missed_heartbeat",
        row=13,
        what="a replica that misses two heartbeats is called Disconnected",
        edits=(
            Edit(
                "status_of",
                "silent_ns > options.disconnected_after_ms * NS_PER_MS",
                "silent_ns > 2 * options.heartbeat_ms * NS_PER_MS",
            ),
        ),
        scenario=on.quiet_spells,
        check="disconnected_is_silent",
    ),
    Bug(
        name="signs_of_life_ignored",
        row=13,
        what="a replica stands although it hears its master: its detector is never notified",
        edits=(
            Edit(
                "Suspicion.heard",
                "self._detector.heard(now_ns, is_beat=is_beat)",
                "pass",
            ),
        ),
        scenario=on.quiet_spells,
        check="candidates_have_waited",
    ),
    Bug(
        name="announcements_ignored",
        row=13,
        what="a replica that cannot connect deposes a master that announces itself",
        edits=(
            Edit(
                "ReplicaRole.on_master",
                "self._suspicion.heard(self.member.now_ns)",
                "pass",
            ),
        ),
        scenario=on.announcements_only,
        check="failovers_have_a_cause",
    ),
    Bug(
        name="older_connection_ignored",
        row=13,
        what="a replica deposes a master whose heartbeats come by the connection before",
        edits=(
            Edit(
                "ReplicaRole.receive",
                "and self._is_of_epoch(message)",
                "and message.generation == self._generation",
            ),
        ),
        scenario=on.heartbeats_of_an_older_connection,
        check="failovers_have_a_cause",
    ),
    Bug(
        name="lag_by_heartbeats",
        row=14,
        what="a replica whose heartbeats come counts as up to date",
        edits=(
            Edit(
                "Peer.lag_ns",
                "return 0 if self.behind_since_ns is None else now_ns - self.behind_since_ns",
                "return 0",
            ),
        ),
        scenario=partial(
            on.deaf_to_records,
            workload=sim.Workload(writes_per_s=20, source="uniform:20x4"),
        ),
        check="status_is_honest",
    ),
    Bug(
        name="read_your_writes_unchecked",
        row=15,
        what="a node answers a client that has seen a write which the node does not show",
        edits=(
            Edit(
                "lacks_write",
                "    is_there = member",
                "    return False\n    is_there = member",
            ),
        ),
        scenario=partial(
            on.deaf_to_records,
            workload=sim.Workload(
                writes_per_s=10,
                reads_per_s=10,
                clients=3,
                source="uniform:10x4",
                read_policy="read_your_writes",
                client_timeout_ms=1_000,
            ),
        ),
        check="read_your_writes",
    ),
    Bug(
        name="staleness_unchecked",
        row=15,
        what="a node answers a read with a bound whatever its age",
        edits=(
            Edit(
                "_policy_refusal",
                "if staleness_ns is None or staleness_ns > read.bound_ms * NS_PER_MS:",
                "if False:",
            ),
        ),
        scenario=partial(
            on.deaf_to_records,
            workload=sim.Workload(
                writes_per_s=10,
                reads_per_s=10,
                clients=3,
                source="uniform:10x4",
                read_policy="bounded_staleness",
                bound_ms=500,
                client_timeout_ms=1_000,
            ),
        ),
        check="bounded_staleness",
    ),
    Bug(
        name="confirmed_by_the_own_disk",
        row=15,
        what="a master shows a read under `confirmed` what no replica has confirmed",
        edits=(
            Edit(
                "PendingRequests.read",
                'self._confirmed_reads if message.policy == "confirmed" else self._reads',
                "self._reads",
            ),
        ),
        scenario=partial(on.asked_of_a_deposed_master, policy="confirmed"),
        check="reads_show_nothing_lost",
    ),
    Bug(
        name="confirmed_without_asking",
        row=15,
        what="a replica shows a read under `confirmed` what it has applied, and asks nobody",
        edits=(
            Edit(
                "_policy_refusal",
                'if read.policy == "confirmed" and not member.is_confirmed(member.visible[:2]):',
                "if False:",
            ),
            Edit(
                "HeldReads.hold",
                'if read.policy != "confirmed" or',
                "if True or",
            ),
        ),
        scenario=on.confirmed_by_too_few,
        check="reads_show_nothing_lost",
    ),
    Bug(
        name="waits_for_the_slowest",
        row=20,
        what="a write waits for every replica, not for as many as were asked for",
        edits=(
            Edit(
                "PendingRequests.confirmed_offset",
                "return min(own, offsets[asked - 1])",
                "return min(own, offsets[-1])",
            ),
        ),
        scenario=on.slow_replicas,
        check="confirmations_are_prompt",
    ),
    Bug(
        name="no_window",
        row=21,
        what="records are sent to a slow replica without waiting for its acks",
        edits=(
            Edit(
                "Sender.send_window",
                "room_bytes = options.window_bytes",
                "room_bytes = 1 << 40",
            ),
        ),
        scenario=on.slow_processor,
        check="queues_are_bounded",
    ),
)
