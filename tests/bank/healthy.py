"""All healthy runs: the modules fill the registry's dict when they are imported."""

from . import healthy_data, healthy_losses, healthy_models, healthy_training  # noqa: F401
from .registry import HEALTHY

__all__ = ["HEALTHY"]
