"""What a bank is: plain dicts of its runs, and the two decorators that fill them."""

from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
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


class Bank:
    """The sick and the healthy runs of one bank, by name; its two decorators fill them."""

    def __init__(self):
        self.SICK: dict[str, Sick] = {}
        self.HEALTHY: dict[str, Healthy] = {}

    def sick(self, part: str, *planted: str, also: Iterable[str] = (), lies: bool = False):
        """Register ``build(seed, has)``; `also`: further causes that name the same repair."""
        causes = frozenset([*planted, *also])
        if part not in PARTS or not causes <= NAMES.keys():
            raise ValueError(f"not in the vocabulary: {part!r}, {sorted(causes)}")

        def register(build: Callable[[int, frozenset[str]], Run]):
            def builder(seed: int, has: Iterable[str] = planted) -> Run:
                with isolated(seed):
                    return build(seed, frozenset(has))

            foreign = any(NAMES[cause].foreign for cause in planted)
            self.SICK[build.__name__] = Sick(builder, causes, part, foreign, planted, lies)
            return build

        return register

    def healthy(self, *variants: dict):
        """Register ``build(seed, **variant)`` once for each of `variants`."""

        def register(build: Callable[..., Run]):
            def variant_builder(settings: dict) -> Callable[[int], Run]:
                def builder(seed: int) -> Run:
                    with isolated(seed):
                        return build(seed, **settings)

                return builder

            for number, settings in enumerate(variants, 1):
                name = f"{build.__name__}_{number}"
                self.HEALTHY[name] = Healthy(variant_builder(settings), build.__name__)
            return build

        return register

    def weights(self) -> dict[str, float]:
        """What each sick run should count, so that the groups of causes count as in ROWS.

        A run of two faults belongs to the groups of both by halves; the weights add up to 1.
        """
        rows = {name: [NAMES[c].row for c in entry.planted] for name, entry in self.SICK.items()}
        present = {row: sum(f.count(row) / len(f) for f in rows.values()) for row in ROWS}
        total = sum(share for row, share in ROWS.items() if present[row])
        return {
            name: sum(ROWS[row] / present[row] / len(found) for row in found) / total
            for name, found in rows.items()
        }


def bank(name: str) -> Bank:
    """The bank in the folder `name`, all its modules loaded."""
    package = import_module(f"{__package__}.{name}")
    for path in sorted(Path(package.__file__).parent.glob("*_*.py")):
        if path.stem.startswith(("sick_", "healthy_")):
            import_module(f"{package.__name__}.{path.stem}")
    return package.BANK
