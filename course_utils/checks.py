"""What arguments of many functions have to be: errors name argument, value and what is accepted."""

import operator


def whole_number(name: str, value: object, least: int, most: int | None = None) -> int:
    """`value` as an int between `least` and `most`.

    Raises
    ------
    TypeError
        If it is not a whole number (2.0 is not, numpy's integers are).
    ValueError
        If it is outside the bounds.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, got {value!r}") from None
    if number < least or (most is not None and number > most):
        accepted = f"{least} or larger" if most is None else f"between {least} and {most}"
        raise ValueError(f"{name} must be {accepted}, got {number}")
    return number
