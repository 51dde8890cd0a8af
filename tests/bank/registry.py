"""The plain dicts of all runs, and the two decorators that fill them."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from course_utils._runs import isolated

from .causes import NAMES, PARTS, ROWS
from .runs import Run


class Sick(NamedTuple):
    """A sick run: ``builder(seed)``, and ``builder(seed, has)`` with only the faults `has`.

    causes : every answer that counts as right: `planted`, and names of the same repair
    lies : the faults do not hurt the learning; the number that is printed is what misses the goal
    """

    builder: Callable[..., Run]
    causes: frozenset[str]
    part: str
    foreign: bool
    planted: tuple[str, ...]
    lies: bool


class Healthy(NamedTuple):
    """A healthy run: ``builder(seed)``, and which kind it is a variant of."""

    builder: Callable[[int], Run]
    kind: str


SICK: dict[str, Sick] = {}
HEALTHY: dict[str, Healthy] = {}


def sick(part: str, *planted: str, also: Iterable[str] = (), lies: bool = False):
    """Register ``build(seed, has)``; `also`: further causes that name the same repair."""
    causes = frozenset([*planted, *also])
    if part not in PARTS or not causes <= NAMES.keys():
        raise ValueError(f"not in the vocabulary: {part!r}, {sorted(causes)}")

    def register(build: Callable[[int, frozenset[str]], Run]):
        def builder(seed: int, has: Iterable[str] = planted) -> Run:
            with isolated(seed):
                return build(seed, frozenset(has))

        foreign = any(NAMES[cause].foreign for cause in planted)
        SICK[build.__name__] = Sick(builder, causes, part, foreign, planted, lies)
        return build

    return register


def healthy(*variants: dict):
    """Register ``build(seed, **variant)`` once for each of `variants`."""

    def register(build: Callable[..., Run]):
        def variant_builder(settings: dict) -> Callable[[int], Run]:
            def builder(seed: int) -> Run:
                with isolated(seed):
                    return build(seed, **settings)

            return builder

        for number, settings in enumerate(variants, 1):
            name = f"{build.__name__}_{number}"
            HEALTHY[name] = Healthy(variant_builder(settings), build.__name__)
        return build

    return register


def weights() -> dict[str, float]:
    """What each sick run should count, so that the groups of causes count as in ROWS.

    A run of two faults belongs to the groups of both by halves; the weights add up to 1.
    """
    rows = {name: [NAMES[cause].row for cause in entry.planted] for name, entry in SICK.items()}
    present = {row: sum(found.count(row) / len(found) for found in rows.values()) for row in ROWS}
    total = sum(share for row, share in ROWS.items() if present[row])
    return {
        name: sum(ROWS[row] / present[row] / len(found) for row in found) / total
        for name, found in rows.items()
    }
