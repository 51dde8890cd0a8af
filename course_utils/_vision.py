"""torchvision, imported so that a build which does not match torch cannot stop the course.

Built for another torch it goes on without its compiled half, but then looks up two operators of
that half, and fails: "operator torchvision::nms does not exist". To declare them, without an
implementation, is enough for data sets, transforms and models; calling them still raises.
"""

import torch

try:
    import torchvision
except RuntimeError:
    _library = torch.library.Library("torchvision", "FRAGMENT")  # kept, or torch forgets it again
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            _library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision  # what failed for another reason fails again

__all__ = ["torchvision"]
