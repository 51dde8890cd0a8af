"""The small package behind a course on how neural networks really train."""
