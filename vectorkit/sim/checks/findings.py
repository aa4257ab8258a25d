"""What a check says: held, broken, seen but not promised, or not exercised, with the evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, overload

from vectorkit.display import record_table, rows_table
from vectorkit.errors import InvalidInput
from vectorkit.tabular import Schema, frame_of_rows

if TYPE_CHECKING:
    from vectorkit.tabular import DataFrame

FINDINGS: Final[Schema] = {
    "check": "str",
    "verdict": "str",
    "is_promised": "bool",
    "observed_count": "int64",
    "evidence": "str",
}
"""Columns and dtypes of `Findings.to_frame()`."""

Verdict = Literal["held", "broken", "seen_not_promised", "not_exercised"]

VERDICT_WORDS: Final[dict[Verdict, str]] = {
    "held": "held",
    "broken": "broken",
    "seen_not_promised": "seen, not promised",
    "not_exercised": "not exercised",
}
"""The verdicts as people read them."""

_TABLE_ORDER: Final[tuple[Verdict, ...]] = ("broken", "seen_not_promised", "held", "not_exercised")

_LINES_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict of one check over a run.

    `broken` is said only where the options of the run promise the rule and where the promise was in
    force. A violation outside of a promise is `seen_not_promised`: counted, and blamed on nobody.
    `not_exercised` says that the rule never came into play. Raises InvalidInput for a verdict that
    does not go with its count.

    >>> Finding("lag_is_never_negative", "held", True, 0, ("12 samples",)).verdict
    'held'
    """

    name: str
    verdict: Verdict
    is_promised: bool
    observed_count: int
    """How often the rule was violated, promised or not."""
    evidence: tuple[str, ...]

    def __post_init__(self) -> None:
        if (self.observed_count > 0) != (self.verdict in ("broken", "seen_not_promised")):
            raise InvalidInput(
                "the verdict does not go with the count of violations",
                got=f"{self.verdict!r} with {self.observed_count:,} violations",
                wanted="'broken' or 'seen_not_promised' with violations, another verdict without",
                remedy="let `CheckTally.finding` say the verdict",
            )

    def __repr__(self) -> str:
        is_told = self.is_promised or self.verdict == "seen_not_promised"
        promised = "" if is_told else ", not promised"
        first = f": {self.evidence[0]}" if self.evidence else ""
        return f"Finding({self.name} {self.verdict}{promised}{first})"

    def _repr_html_(self) -> str:
        return record_table(self)


class Findings(Sequence[Finding]):
    """All findings of a run, in a fixed order; also by name.

    >>> found = Findings([Finding("lag_is_never_negative", "held", True, 0, ())])
    >>> found
    Findings(1 held; 0 broken; 0 seen, not promised; 0 not exercised)
    >>> found["lag_is_never_negative"].verdict
    'held'
    """

    def __init__(self, found: Iterable[Finding]) -> None:
        self._found = tuple(found)
        self._named = {each.name: each for each in self._found}

    @property
    def broken(self) -> tuple[Finding, ...]:
        """Those that say that a promise was not kept."""
        return tuple(each for each in self._found if each.verdict == "broken")

    def to_frame(self) -> DataFrame:
        """One row a finding."""
        rows = [
            (
                each.name,
                each.verdict,
                each.is_promised,
                each.observed_count,
                "\n".join(each.evidence),
            )
            for each in self._found
        ]
        return frame_of_rows(rows, FINDINGS)

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._found)

    @overload
    def __getitem__(self, key: int | str) -> Finding: ...

    @overload
    def __getitem__(self, key: slice) -> Findings: ...

    def __getitem__(self, key: int | str | slice) -> Finding | Findings:
        if isinstance(key, slice):
            return Findings(self._found[key])
        if isinstance(key, int):
            return self._found[key]
        if key not in self._named:
            raise InvalidInput(
                "there is no such check",
                got=repr(key),
                wanted=", ".join(self._named),
                remedy="take one of these names",
            )
        return self._named[key]

    def __repr__(self) -> str:
        count = Counter(each.verdict for each in self._found)
        counts = [f"{count[verdict]} {words}" for verdict, words in VERDICT_WORDS.items()]
        return f"Findings({'; '.join(counts)})"

    def _repr_html_(self) -> str:
        rows = [
            (
                each.name.replace("_", " "),
                VERDICT_WORDS[each.verdict],
                "yes" if each.is_promised else "no",
                f"{each.observed_count:,}",
                each.evidence[0] if each.evidence else "",
            )
            for each in sorted(self._found, key=lambda each: _TABLE_ORDER.index(each.verdict))
        ]
        names = ("check", "verdict", "promised", "violations", "evidence")
        return rows_table(names, rows, rows_max=None)


class CheckTally:
    """Counts how often a rule came into play and how often it was violated; then it is a finding.

    `unpromised` says why the run's options promise nothing; empty where they do.
    """

    def __init__(self, name: str, *, unpromised: str = "") -> None:
        self.name = name
        self._unpromised = unpromised
        self._seen = 0
        self._is_promised = False
        self._promised: list[str] = []
        self._others: list[str] = []
        self._promised_count = self._other_count = 0

    def see(self, count: int = 1, *, is_promised: bool = True) -> None:
        """The rule has come into play."""
        self._seen += count
        self._is_promised |= is_promised and count > 0

    def violated(self, what: str, *, is_promised: bool = True, count: int = 1) -> None:
        """The rule was violated; the first few violations become evidence."""
        if is_promised and not self._unpromised:
            self._promised_count += count
            lines = self._promised
        else:
            self._other_count += count
            lines = self._others
        if len(lines) < _LINES_MAX:
            lines.append(what)

    def finding(self, *, of: str, idle: str, notes: Sequence[str] = ()) -> Finding:
        """The verdict. `of` names what was looked at, `idle` why it never came into play."""
        count = self._promised_count + self._other_count
        is_promised = not self._unpromised and (self._is_promised or not self._seen)
        if not self._seen and not count:
            return Finding(self.name, "not_exercised", is_promised, 0, (idle, *notes))
        looked = f"{self._seen:,} {of}"
        if self._promised_count:
            lines = _shortened(self._promised, self._promised_count)
            return Finding(self.name, "broken", True, count, (*lines, f"among {looked}", *notes))
        if count:
            reason = self._unpromised or "the promise was not in force"
            lines = (f"not promised: {reason}", *_shortened(self._others, self._other_count))
            verdict: Verdict = "seen_not_promised"
            return Finding(self.name, verdict, False, count, (*lines, f"among {looked}", *notes))
        if not is_promised:
            looked += f" (not promised: {self._unpromised or 'no such promise was in force'})"
        return Finding(self.name, "held", is_promised, 0, (looked, *notes))


def _shortened(lines: Sequence[str], count: int) -> tuple[str, ...]:
    more = count - len(lines)
    return (*lines, f"… and {more:,} more") if more > 0 and lines else tuple(lines)
