"""A finding, the report of several, and what each cause means and asks for."""

import html
from dataclasses import asdict, dataclass, field

from ._causes import CAUSES

SURE = ("certain", "likely", "possible")
MOST = 5


@dataclass(frozen=True)
class Finding:
    """One cause that the examination points at, with the number that points there."""

    cause: str  # a key of CAUSES
    sure: str  # "certain", "likely" or "possible"
    measured: str
    threshold: str  # what the number was held against, and where that comes from
    values: dict = field(default_factory=dict)  # the numbers, for programs

    @property
    def part(self) -> str:
        """Where to look: display, inputs, labels, batches, model, loss, optimiser or loop."""
        return CAUSES[self.cause].part

    @property
    def means(self) -> str:
        """What the finding means, in a sentence."""
        return CAUSES[self.cause].means

    @property
    def try_first(self) -> str:
        """The first thing to change."""
        return CAUSES[self.cause].try_first

    @property
    def notebook(self) -> str:
        """The notebook that shows it, or nothing."""
        return CAUSES[self.cause].notebook

    def as_dict(self) -> dict:
        """Everything as plain data."""
        extra = {key: getattr(self, key) for key in ("part", "means", "try_first", "notebook")}
        return asdict(self) | extra


@dataclass(repr=False)
class Report:
    """What an examination found; `print` it, show it in a notebook, or read `findings`."""

    findings: tuple[Finding, ...] = ()
    advice: str = ""  # what to do where nothing was found
    measured: dict = field(default_factory=dict)  # every number that was taken
    notes: list[str] = field(default_factory=list)
    untested: list[str] = field(default_factory=list)

    def as_dict(self) -> dict:
        """Everything as plain data."""
        return asdict(self) | {"findings": [finding.as_dict() for finding in self.findings]}

    def __str__(self) -> str:
        lines = []
        for number, finding in enumerate(self.findings, 1):
            lines += [
                f"{number}. {finding.cause.replace('_', ' ')} ({finding.part}; {finding.sure})",
                f"   measured:  {finding.measured}",
                f"   held to:   {finding.threshold}",
                f"   means:     {finding.means}",
                f"   try first: {finding.try_first}",
            ]
            lines += [f"   shown in:  {finding.notebook}"] if finding.notebook else []
        lines += [] if self.findings else ["Nothing found.", *filter(None, [self.advice])]
        lines += [f"Note: {note}." for note in self.notes]
        lines += ["Not tested: " + "; ".join(self.untested) + "."] if self.untested else []
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [
            "<tr>"
            + "".join(
                f"<td style='text-align:left'>{html.escape(text)}</td>"
                for text in (
                    f"{finding.cause.replace('_', ' ')} ({finding.sure})",
                    f"{finding.measured} ({finding.threshold})",
                    finding.means,
                    finding.try_first,
                    finding.notebook,
                )
            )
            + "</tr>"
            for finding in self.findings
        ]
        head = "".join(
            f"<th style='text-align:left'>{name}</th>"
            for name in ("finding", "measured (held to)", "it means", "try first", "shown in")
        )
        table = f"<table><tr>{head}</tr>{''.join(rows)}</table>" if rows else ""
        rest = str(Report((), self.advice, {}, self.notes, self.untested)).split("\n")
        rest = rest[2 if self.advice else 1 :] if self.findings else rest
        return table + "".join(f"<p>{html.escape(line)}</p>" for line in rest)


def ranked(findings: list[Finding]) -> tuple[Finding, ...]:
    """The likeliest first, each cause once, at most five."""
    order = list(CAUSES)
    first: dict[str, Finding] = {}
    for finding in sorted(findings, key=lambda f: (SURE.index(f.sure), order.index(f.cause))):
        first.setdefault(finding.cause, finding)
    return tuple(first.values())[:MOST]
