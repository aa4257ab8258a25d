"""Checks over a run's trace: what the protocol promises, told from rows, by code of its own.

They know the rules, not the code that keeps them: of `vectorkit.replication` they see nothing but
the options.
"""

from vectorkit.sim.checks.evidence import Evidence
from vectorkit.sim.checks.findings import Finding, Findings, Verdict
from vectorkit.sim.checks.run_all import check

__all__ = ["Evidence", "Finding", "Findings", "Verdict", "check"]
