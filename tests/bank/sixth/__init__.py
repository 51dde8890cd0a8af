"""The sixth bank: to be looked at once."""

from ..registry import Bank

BANK = Bank()
