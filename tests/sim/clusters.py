"""Clusters as the acceptance tests set them up, and the parts that only a test looks at."""

from vectorkit.replication import ReplicationOptions
from vectorkit.sim import Cluster, ClusterOptions, StalledDisk


def cluster(replicas=2, *, seed=7, link=None, concern=None, failover=None, **options):
    """A cluster; options that are not of the cluster are those of replication."""
    whole = {name: options.pop(name) for name in ("disk", "sample_every_ms") if name in options}
    if link is not None:
        whole["link"] = link
    made = ClusterOptions(
        replicas=replicas,
        write_concern=concern,
        failover=failover,
        replication=ReplicationOptions(**options),
        **whole,
    )
    return Cluster(made, seed=seed)


def fill(made, count, name="words", store=None):
    """So many operations: the collection if it is not there, then a row each."""
    store = made.store if store is None else store
    if name not in store:
        store.create_collection(name, dim=2)
        count -= 1
    first = len(store[name])
    for number in range(first, first + count):
        store.upsert(name, [f"{number}"], [[number, 1]])


def node(made, node_id):
    """The state machine itself."""
    return made._engine.node(node_id)


def image(made, node_id):
    """What a node's disk holds."""
    return made._engine.machines[node_id].drive.image


def retire(made, lost_id):
    """Let an operator say that a node is gone for good, wherever its disk may be."""
    engine = made._engine
    index = node(made, lost_id).member.index
    for node_id, machine in engine.machines.items():
        if node_id != lost_id and machine.is_up:
            local_ns = machine.clock.local_ns(engine.now_ns)
            engine.perform(node_id, machine.node.retire(index, local_ns))


def digests(made):
    """What each store amounts to."""
    return {node_id: store.digest() for node_id, store in made.stores.items()}


def positions(made):
    """How far each node's disk has come in history: epoch, offset and hash."""
    return {node_id: node(made, node_id).member.flushed for node_id in made.options.node_ids}


def roles(made):
    """What each node is now."""
    return {node_id: node(made, node_id).role.name for node_id in made.options.node_ids}


def stall(made, node_id, for_ms):
    """From now on a node's disk begins no write, for so long."""
    made.inject(StalledDisk(at_ms=0, for_ms=for_ms, node=node_id))
    made.advance(ms=0)
