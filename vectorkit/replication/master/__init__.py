"""The master's role: its replicas, their streams and snapshots, and waiting requests."""
