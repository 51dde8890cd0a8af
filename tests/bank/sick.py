"""All sick runs: the modules fill the registry's dict when they are imported."""

from . import (  # noqa: F401
    sick_data,
    sick_double,
    sick_double_data,
    sick_model,
    sick_outputs,
    sick_training,
)
from .registry import SICK

__all__ = ["SICK"]
