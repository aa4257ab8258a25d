"""All checks, in the order of the report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vectorkit.sim.checks.acknowledged import check_branch, check_promises, check_survival
from vectorkit.sim.checks.backing import check_backing, check_promptness, check_queues
from vectorkit.sim.checks.copies import (
    check_answers,
    check_applied,
    check_convergence,
    check_digests,
    check_hashes,
    check_masters,
    check_offsets,
    check_quarantine,
)
from vectorkit.sim.checks.dirty import check_dirty_reads
from vectorkit.sim.checks.elections import (
    check_causes,
    check_durable_promises,
    check_replacements,
)
from vectorkit.sim.checks.evidence import Evidence
from vectorkit.sim.checks.findings import Finding, Findings
from vectorkit.sim.checks.linearizable import check_linearizable
from vectorkit.sim.checks.patience import check_attempts, check_candidates, check_silence
from vectorkit.sim.checks.positions import check_durability, check_order, check_stateless
from vectorkit.sim.checks.reads import check_staleness, check_values, check_writes
from vectorkit.sim.checks.service import check_lag, check_links, check_status, check_syncs
from vectorkit.sim.checks.sessions import check_sessions

Check = Callable[[Evidence], Finding | list[Finding]]

CHECKS: Final[tuple[Check, ...]] = (
    check_survival,
    check_branch,
    check_promises,
    check_masters,
    check_offsets,
    check_hashes,
    check_digests,
    check_convergence,
    check_applied,
    check_order,
    check_durability,
    check_quarantine,
    check_sessions,
    check_staleness,
    check_linearizable,
    check_dirty_reads,
    check_values,
    check_syncs,
    check_status,
    check_lag,
    check_links,
    check_stateless,
    check_backing,
    check_promptness,
    check_queues,
    check_writes,
    check_attempts,
    check_silence,
    check_candidates,
    check_answers,
    check_durable_promises,
    check_replacements,
    check_causes,
)


def check(evidence: Evidence) -> Findings:
    """Every check over the same facts."""
    return Findings(each for one in CHECKS for each in findings_of(one, evidence))


def owner_of(name: str, evidence: Evidence) -> Check:
    """The function that gives the finding of this name, which the facts' findings have."""
    return next(one for one in CHECKS if name in [each.name for each in findings_of(one, evidence)])


def findings_of(one: Check, evidence: Evidence) -> list[Finding]:
    """What one of the functions says, of one rule or of several."""
    result = one(evidence)
    return [result] if isinstance(result, Finding) else result
