"""Sums up what `judge.py` has collected: shares, intervals, a table."""

from collections import Counter
from statistics import median

from .causes import NAMES, ROWS

MEASURES = ("noticed", "named_first", "named", "narrowed", "by_advice")
NORMAL = 1.959964  # the 97.5 % point


def wilson(share: float, count: float) -> list[float]:
    """The 95 % interval of a share of `count`."""
    square = NORMAL**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = share * (1 - share) / count + square / (4 * count**2)
    half = NORMAL * max(half, 0.0) ** 0.5 / (1 + square / count)
    return [round(max(middle - half, 0.0), 3), round(min(middle + half, 1.0), 3)]


def mean(values, factors) -> float:
    """The mean, each value with its factor."""
    pairs = list(zip(values, factors, strict=True))
    return round(sum(v * f for v, f in pairs) / sum(f for _, f in pairs), 4)


def rates(rows: list[dict], factors: list[float]) -> dict:
    """Each measure, plain with its interval and weighted; the factors add up to the runs."""
    runs = sum(factors)
    heavy = [factor * row["weight"] for row, factor in zip(rows, factors, strict=True)]
    result = {"runs": round(runs, 2)}
    for measure in MEASURES:
        values = [row[measure] for row in rows]
        share = mean(values, factors)
        result[measure] = {
            "plain": share,
            "interval": wilson(share, runs),
            "weighted": mean(values, heavy),
        }
    return result


def in_parts(rows: list[dict], factors: list[float], parts_of) -> dict:
    """Rates by part, where `parts_of(row)` gives the share of the row in each part."""
    result = {}
    belongs = [parts_of(row) for row in rows]
    for part in dict.fromkeys(part for parts in belongs for part in parts):
        chosen = [
            (row, factor * parts[part])
            for row, factor, parts in zip(rows, factors, belongs, strict=True)
            if part in parts
        ]
        result[str(part)] = rates([row for row, _ in chosen], [factor for _, factor in chosen])
    return result


def group_shares(row: dict) -> dict[str, float]:
    """The groups of ROWS a run belongs to: with two faults, each by half."""
    planted = row["planted"]
    counts = Counter(NAMES[cause].row for cause in planted)
    return {group: count / len(planted) for group, count in counts.items()}


def of_two(rows: list[dict], factors: list[float]) -> dict:
    """Of the runs with two faults: the shares of which none, one and both were named."""
    pairs = [
        (row["planted_named"], factor)
        for row, factor in zip(rows, factors, strict=True)
        if len(row["planted"]) == 2
    ]
    named, factors = zip(*pairs, strict=True)
    shares = {str(count): mean([n == count for n in named], factors) for count in (0, 1, 2)}
    return {"runs": round(sum(factors), 2), "named_of_two": shares, "mean": mean(named, factors)}


def of_sick(rows: list[dict]) -> dict:
    """Everything of the sick runs; each seed counts as a share of its run."""
    seeds = Counter(row["name"] for row in rows)
    factors = [1 / seeds[row["name"]] for row in rows]
    groups = in_parts(rows, factors, group_shares)
    return {
        "all": rates(rows, factors),
        "two_faults": of_two(rows, factors),
        "by_faults": in_parts(rows, factors, lambda row: {len(row["planted"]): 1}),
        "by_group": {group: groups[group] for group in ROWS if group in groups},
        "by_state": in_parts(rows, factors, lambda row: {row["state"]: 1}),
    }


def of_healthy(rows: list[dict]) -> dict:
    """False alarms: of entries, of entries and seeds, of kinds."""
    kinds: dict[str, list[bool]] = {}
    entries: dict[str, list[bool]] = {}
    for row in rows:
        kinds.setdefault(row["kind"], []).append(bool(row["findings"]))
        entries.setdefault(row["name"], []).append(bool(row["findings"]))
    by_kind = {kind: sum(alarms) / len(alarms) for kind, alarms in kinds.items()}
    share = sum(sum(a) / len(a) for a in entries.values()) / len(entries)
    of_kinds = sum(by_kind.values()) / len(kinds)
    return {
        "entries": len(entries),
        "kinds": len(kinds),
        "alarms": round(share, 4),
        "interval_of_entries": wilson(share, len(entries)),
        "interval_of_kinds": wilson(share, len(kinds)),
        "mean_of_kinds": {"share": round(of_kinds, 4), "interval": wilson(of_kinds, len(kinds))},
        "entries_with_any": sum(map(any, entries.values())),
        "kinds_with_any": sum(map(any, kinds.values())),
        "by_kind": {kind: round(rate, 4) for kind, rate in by_kind.items()},
        "list": [
            {key: row[key] for key in ("name", "seed", "state", "findings")}
            for row in rows
            if row["findings"]
        ],
    }


def of_seconds(rows: list[dict]) -> dict:
    seconds = [row["seconds"] for row in rows]
    return {"median": round(median(seconds), 2), "largest": max(seconds)}


def summary(sick: list[dict], healthy: list[dict]) -> dict:
    """All shares, intervals and times."""
    both = [*sick, *healthy]
    return {
        "sick": of_sick(sick),
        "healthy": of_healthy(healthy),
        "seconds": {"sick": of_seconds(sick), "healthy": of_seconds(healthy)},
        "errors": [
            {key: row[key] for key in ("name", "seed", "error")} for row in both if row["error"]
        ],
    }


def sick_lines(sick: dict) -> list[str]:
    """The sick runs' part of the table."""
    lines = [f"sick: {sick['all']['runs']:g} runs; plain, 95 % interval, weighted"]
    for measure in MEASURES:
        found = sick["all"][measure]
        low, high = found["interval"]
        lines.append(
            f"  {measure:14} {found['plain']:6.1%}  {low:5.1%} to {high:5.1%}"
            f"  {found['weighted']:6.1%}"
        )
    for title in ("by_group", "by_state", "by_faults"):
        heads = "".join(f"{measure:>13}" for measure in MEASURES)
        lines.append(f"\n  {title.replace('_', ' '):16}{'runs':>6}{heads}")
        for part, found in sick[title].items():
            shares = "".join(f"{found[measure]['plain']:13.1%}" for measure in MEASURES)
            lines.append(f"  {part:16}{found['runs']:6g}{shares}")
    two = sick["two_faults"]
    told = ", ".join(f"{count}: {share:.1%}" for count, share in two["named_of_two"].items())
    return [*lines, f"\n  of two faults named, {two['runs']:g} runs: {told}"]


def healthy_lines(healthy: dict) -> list[str]:
    """The healthy runs' part of the table."""
    low, high = healthy["interval_of_entries"]
    least, most = healthy["interval_of_kinds"]
    kinds = healthy["mean_of_kinds"]
    lines = [
        f"\nhealthy: {healthy['entries']} entries of {healthy['kinds']} kinds; false alarms",
        f"  of entries     {healthy['alarms']:6.1%}  {low:5.1%} to {high:5.1%}"
        f"  (by the number of kinds {least:5.1%} to {most:5.1%})",
        f"  mean of kinds  {kinds['share']:6.1%}  {kinds['interval'][0]:5.1%} to "
        f"{kinds['interval'][1]:5.1%}",
        f"  on any seed: {healthy['entries_with_any']} entries, {healthy['kinds_with_any']} kinds",
    ]
    for row in healthy["list"]:
        told = ", ".join(f"{f['cause']} ({f['sure']})" for f in row["findings"])
        lines.append(f"    {row['name']:34} {row['seed']}  {row['state']:8}  {told}")
    return lines


def table(summed: dict) -> str:
    """The summary, readable."""
    lines = [*sick_lines(summed["sick"]), *healthy_lines(summed["healthy"]), ""]
    for kind, seconds in summed["seconds"].items():
        lines.append(f"{kind}: median {seconds['median']} s, largest {seconds['largest']} s")
    lines.append(f"errors: {len(summed['errors'])}")
    lines += [f"    {e['name']:34} {e['seed']}  {e['error'][:90]}" for e in summed["errors"]]
    return "\n".join(lines)
