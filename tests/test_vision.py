"""torchvision through the package: beside a torch it matches, and beside one it does not."""

import subprocess
import sys

IMPORT = """
import torch
from course_utils._vision import torchvision
"""
USE = f"""{IMPORT}
from torchvision import datasets, models, transforms

assert models.alexnet(weights=None)(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)
image, _ = datasets.FakeData(size=1, image_size=(3, 8, 8), transform=transforms.ToTensor())[0]
assert transforms.Normalize([0.5] * 3, [0.5] * 3)(image).shape == (3, 8, 8)
"""
# What a matching torchvision's compiled half does when it is loaded.
DECLARE = """
import torch
library = torch.library.Library("torchvision", "DEF")
for name in {names}:
    library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""
# A torchvision whose compiled half is missing, whatever is installed here.
WITHOUT_COMPILED_HALF = """
import torch
load = torch.ops.load_library
def refuse(path):
    if "torchvision" in str(path):
        raise OSError("built for another torch")
    return load(path)
torch.ops.load_library = refuse
"""
UNTOUCHED = """
import course_utils._vision
assert not hasattr(course_utils._vision, "_DECLARED"), "declared operators that were there"
"""
# The trap itself, and afterwards a way out of it that claims no more than it has.
TRAP = """
try:
    import torchvision
except RuntimeError as error:
    assert "torchvision::nms does not exist" in str(error)
else:
    raise AssertionError("there was no trap")
"""
CANNOT_BE_CALLED = """
try:
    torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
except RuntimeError:
    pass
else:
    raise AssertionError("ran an operator that is not there")
"""


def python(code):
    """What a fresh Python, warnings as errors, says on stderr about `code`; empty if it ran."""
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=120).stderr


def test_beside_the_installed_torch():
    assert python(USE) == ""


def test_without_its_compiled_half():
    assert python(WITHOUT_COMPILED_HALF + TRAP + USE + CANNOT_BE_CALLED) == ""


def test_only_what_is_missing_is_declared():
    assert python(WITHOUT_COMPILED_HALF + DECLARE.format(names=["nms"]) + IMPORT) == ""


def test_beside_a_matching_torch_nothing_is_declared():
    assert python(DECLARE.format(names=["nms", "qnms"]) + IMPORT + UNTOUCHED) == ""


def test_any_other_failure_stays_visible(tmp_path):
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('something else')")
    message = python(f"import sys; sys.path.insert(0, {str(tmp_path)!r})" + IMPORT)
    assert message.endswith("RuntimeError: something else\n")
