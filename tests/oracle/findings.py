"""What a comparison found: the base of every verdict."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Findings:
    """What is wrong, in words, and how much was compared."""

    missing: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    without_cause: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Told, but not so."""
    counts: Counter[str] = field(default_factory=Counter)

    def take(self, other: Findings) -> None:
        """Take another comparison's findings in."""
        self.missing += other.missing
        self.doubled += other.doubled
        self.without_cause += other.without_cause
        self.wrong += other.wrong
        self.counts += other.counts
