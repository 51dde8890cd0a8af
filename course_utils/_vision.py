"""torchvision, imported so that a build which does not match torch cannot stop the course.

Use: `from course_utils._vision import torchvision`.
"""

import torch


def _declare_missing_operators() -> torch.library.Library:
    """Torch's record of torchvision's operators, with `nms` and `qnms` in it."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


# A torchvision built for CUDA cannot load its compiled half beside a CPU-only torch (or beside any
# other torch than its own). It goes on without, but then looks up two operators of that half, `nms`
# and `qnms`, and fails: "operator torchvision::nms does not exist". Declaring their signatures,
# without an implementation, is enough for data sets, transforms and models, which use neither;
# calling them still raises. A matching torchvision imports at the first attempt, and what fails for
# another reason fails again at the second.
try:
    import torchvision
except RuntimeError:
    _DECLARED = _declare_missing_operators()  # torch forgets them when this object is deleted
    import torchvision

__all__ = ["torchvision"]
