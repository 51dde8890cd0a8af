"""torchvision, imported so that a build which does not match torch cannot stop the course.

Use: `from course_utils.vision import torchvision`.
"""

import re
import sys

import torch

_SCHEMAS = {
    name: f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    for name in ("nms", "qnms")
}
_MISSING_OPERATOR = re.compile(r"operator torchvision::q?nms does not exist")


def _declare_missing_operators() -> torch.library.Library:
    """Torch's record of torchvision's operators, with `nms` and `qnms` in it."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name, schema in _SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            library.define(schema)
    return library


# A torchvision built for CUDA cannot load its compiled half beside a CPU-only torch (or beside any
# other torch than its own). It goes on without, but then describes two operators of that half,
# `nms` and `qnms`, by name, and fails: "operator torchvision::nms does not exist". Declaring their
# signatures, without an implementation, is enough for data sets, transforms and models, which use
# neither; calling them still raises. A matching torchvision imports at the first attempt.
try:
    import torchvision
except RuntimeError as error:
    if not _MISSING_OPERATOR.search(str(error)):
        raise
    # Torch forgets the declaration when this object is deleted.
    _DECLARED = _declare_missing_operators()
    # The failed import left half of the package behind, which a second one would trip over.
    for _name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[_name]
    import torchvision

__all__ = ["torchvision"]
