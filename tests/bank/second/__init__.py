"""The second bank: looked at once, and used up."""

from ..registry import Bank

BANK = Bank()
