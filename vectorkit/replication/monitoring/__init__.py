"""The figures of a node and the health of its replicas."""
