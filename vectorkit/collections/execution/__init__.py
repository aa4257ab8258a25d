"""How a call into a collection runs: its lock, forked processes, JAX's settings."""
