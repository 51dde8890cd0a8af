"""Fashion-MNIST and CIFAR-10, fetched by torchvision when somebody asks for them.

No notebook depends on a download. What is here is what torchvision leaves open: that a download
which was interrupted, damaged or never began leaves nothing behind, and ends in one sentence.
"""

import errno
import socket
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor

from course_utils.files import remove_stale

DOWNLOADS = {  # name: (title, torchvision's class, the folder which that class reads)
    "fashion_mnist": ("Fashion-MNIST", "FashionMNIST", "FashionMNIST"),
    "cifar10": ("CIFAR-10", "CIFAR10", "cifar-10-batches-py"),
}
# What the disk says, as opposed to the network: full, over quota, read-only, not permitted.
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
SCRATCH = ".incomplete-"  # begins the names of folders that are being filled
STALLED = 30  # seconds without a byte after which we call it no connection


def default_root() -> Path:
    """data/downloads in a checkout (git ignores it); ~/.cache/course_utils when installed."""
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / "pyproject.toml").is_file():
        return checkout / "data" / "downloads"
    return Path.home() / ".cache" / "course_utils"


def downloaded(
    name: str, train: bool, root: str | Path | None, download: bool
) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """Inputs (examples, channels, height, width) float32 in 0 .. 1, int64 targets, class names.

    Raises
    ------
    FileNotFoundError, ConnectionError, OSError
        As `course_utils.datasets.load` says.
    """
    from course_utils.vision import torchvision  # slow to import: only for who asks for it

    title, class_name, folder_name = DOWNLOADS[name]
    dataset = getattr(torchvision.datasets, class_name)
    root = Path(root).expanduser() if root is not None else default_root()
    folder = root / folder_name
    if not folder.exists():
        if not download:
            raise FileNotFoundError(
                f"{title} is not in {root}: call load({name!r}) once while connected, "
                f"or copy the folder {folder_name} there from a machine that has it"
            )
        _download(dataset, title, folder)
    try:
        read = dataset(root, train=train)
    except Exception as error:  # torchvision meets bad bytes with whatever error comes first
        raise OSError(
            f"{title} in {folder} cannot be read (incomplete or changed): "
            f"delete that folder and call load({name!r}) again while connected"
        ) from error
    return _as_tensors(read.data, read.targets, read.classes)


def _download(dataset: type, title: str, folder: Path) -> None:
    """Fetch and unpack elsewhere, then rename: `folder` is there whole or not at all."""
    try:
        _fetch(dataset, title, folder)
    except OSError as error:
        if error.errno not in OF_THE_DISK:
            raise
        raise OSError(
            f"{title} could not be written into {folder.parent}, so nothing was kept "
            f"({error.strerror}): make room there, or pass root=, a folder that has it"
        ) from error


def _fetch(dataset: type, title: str, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(folder.parent, f"{SCRATCH}*")
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=folder.parent) as scratch:
        try:
            with _time_limit(STALLED):
                dataset(scratch, download=True)  # compares checksums, unpacks, shows a progress bar
        except (OSError, RuntimeError, EOFError, tarfile.TarError, HTTPException) as error:
            if getattr(error, "errno", None) in OF_THE_DISK:
                raise
            reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
            raise ConnectionError(
                f"{title} could not be downloaded whole, so nothing was kept ({reason}): connect "
                f"to the Internet and call again, or copy the folder {folder.name} to "
                f"{folder.parent} from a machine that has it, or use load('digits'), which needs "
                "no download"
            ) from error
        if not folder.exists():  # another process may have been faster
            (Path(scratch) / folder.name).rename(folder)


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Sockets opened inside give up when nothing arrives; torchvision's would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _as_tensors(images, targets, classes) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    images = torch.as_tensor(images)  # bytes: (n, height, width) or (n, height, width, 3)
    images = images.unsqueeze(1) if images.ndim == 3 else images.movedim(-1, 1).contiguous()
    return images.float().div_(255), torch.as_tensor(targets), tuple(classes)
