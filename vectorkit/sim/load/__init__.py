"""The load: workloads, requests, key distributions, clients."""
