"""Check the guarantees of the protocol against the trace of a run, independently.

The checks know the rules of the protocol, not its implementation: from `vectorkit.replication` they
use only the options.
"""

from vectorkit.sim.checks.evidence import Evidence
from vectorkit.sim.checks.findings import Finding, Findings, Verdict
from vectorkit.sim.checks.run_all import check

__all__ = ["Evidence", "Finding", "Findings", "Verdict", "check"]
