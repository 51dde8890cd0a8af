"""What a reader does in a notebook: predict, solve exercises, and turn the knobs of a lab.

This is the door; behind it are the modules that the imports name.
"""

from course_utils._exercises import Exercises
from course_utils._lab import lab
from course_utils._predictions import Predictions

__all__ = ["Exercises", "Predictions", "lab"]
