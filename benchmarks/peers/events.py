"""Event loops: the same drawn-out conversation in simpy, in happysim and on our own clock.

Each virtual millisecond a master sends a write to three replicas; each takes it 2 ms later, has it
on disk 0.5 ms after that, and is heard of after another 2 ms: ten events a write. There is no
store, no protocol and no trace, so this is what a loop costs, not what a simulation costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

REPLICAS = 3
DELAY_MS, DISK_MS, EVERY_MS = 2.0, 0.5, 1.0
EVENTS_A_WRITE = 1 + 3 * REPLICAS


class Loop:
    """A loop that makes so many writes and gives how many events it has seen."""

    has_jax: ClassVar[bool] = False

    def __init__(self, cores: int) -> None:
        self.cores = cores

    def run(self, writes: int) -> int:
        """Make the writes, each with all its events."""
        raise NotImplementedError


class Clock(Loop):
    """vectorkit's own scheduler, driven by a dispatch of a few lines."""

    def run(self, writes: int) -> int:
        from vectorkit.sim.world.clock import Scheduler

        events = Scheduler(event_count_max=writes * EVENTS_A_WRITE)
        delay_ns, disk_ns, every_ns = (round(ms * 1e6) for ms in (DELAY_MS, DISK_MS, EVERY_MS))
        end_ns = (writes + 10) * every_ns
        events.at(every_ns, "write", writes)
        while (event := events.pop(end_ns)) is not None:
            now_ns, _, kind, data = event
            if kind == "write":
                for replica in range(REPLICAS):
                    events.at(now_ns + delay_ns, "delivered", replica)
                if data > 1:
                    events.at(now_ns + every_ns, "write", data - 1)
            elif kind == "delivered":
                events.at(now_ns + disk_ns, "flushed", data)
            elif kind == "flushed":
                events.at(now_ns + delay_ns, "confirmed", data)
        return events.event_count


class Simpy(Loop):
    """A process a message, as its guide writes them."""

    def __init__(self, cores: int) -> None:
        import simpy

        super().__init__(cores)
        self.make = simpy.Environment

    def run(self, writes: int) -> int:
        environment = self.make()
        seen = 0

        def message() -> Iterator[Any]:
            nonlocal seen
            for wait_ms in (DELAY_MS, DISK_MS, DELAY_MS):
                yield environment.timeout(wait_ms)
                seen += 1

        def master() -> Iterator[Any]:
            nonlocal seen
            for _ in range(writes):
                yield environment.timeout(EVERY_MS)
                seen += 1
                for _ in range(REPLICAS):
                    environment.process(message())

        environment.process(master())
        environment.run()
        return seen


class Happysim(Loop):
    """An entity a node, whose handler gives the events that follow."""

    def __init__(self, cores: int) -> None:
        import happysimulator

        super().__init__(cores)
        self.api = happysimulator

    def run(self, writes: int) -> int:
        api, left = self.api, writes

        class Replica(api.Entity):  # type: ignore[name-defined, misc]
            def handle_event(self, event: Any) -> Any:
                if event.event_type == "delivered":
                    return api.Event(self.now + DISK_MS / 1e3, "flushed", self)
                return api.Event(self.now + DELAY_MS / 1e3, "confirmed", master)

        class Master(api.Entity):  # type: ignore[name-defined, misc]
            def handle_event(self, event: Any) -> Any:
                nonlocal left
                if event.event_type != "write":
                    return None
                left -= 1
                sent = [api.Event(self.now + DELAY_MS / 1e3, "delivered", r) for r in replicas]
                return sent + [api.Event(self.now + EVERY_MS / 1e3, "write", self)] * (left > 0)

        master, replicas = Master("master"), [Replica(f"replica-{n}") for n in range(REPLICAS)]
        simulation = api.Simulation(entities=[master, *replicas])
        start = api.Instant.from_seconds(EVERY_MS / 1e3)
        simulation.schedule(api.Event(start, "write", master))
        return int(simulation.run().total_events_processed)
