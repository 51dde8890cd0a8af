"""Downloads: read as they were written, and what happens when one goes wrong.

Torchvision's own code downloads small files, written here in the original formats, from a server
on this machine; only its addresses and checksums are exchanged.
"""

import errno
import gzip
import hashlib
import io
import os
import socket
import struct
import tarfile
import threading
import urllib.request
from functools import partial
from http.client import HTTPResponse
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch

from course_utils import downloads
from course_utils._vision import torchvision
from course_utils.datasets import Examples, load

pytestmark = pytest.mark.filterwarnings(
    "ignore:Python 3.14 will, by default, filter extracted tar:DeprecationWarning"  # torchvision's
)


def idx(array: np.ndarray) -> bytes:
    """The idx-ubyte format: zero, zero, 8 (unsigned byte), dimensions, big-endian sizes, data."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return gzip.compress(header + array.tobytes(), mtime=0)


def python_2_pickle(value) -> bytes:
    """`value` as Python 2 and the numpy of 2009 pickled it: text as byte strings, integer flags."""
    if isinstance(value, str | bytes):
        text = value if isinstance(value, bytes) else value.encode("latin1")
        return b"T" + struct.pack("<i", len(text)) + text
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, list):
        return b"](" + b"".join(map(python_2_pickle, value)) + b"e"
    if isinstance(value, dict):
        pairs = (python_2_pickle(part) for pair in value.items() for part in pair)
        return b"}(" + b"".join(pairs) + b"u"
    minus_one = python_2_pickle(-1)
    dtype = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNN" + 2 * minus_one + b"K\x00tb"
    start = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
    shape = b"(" + b"".join(map(python_2_pickle, value.shape)) + b"t"
    return start + b"(K\x01" + shape + dtype + b"I00\n" + python_2_pickle(value.tobytes()) + b"tb"


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder and prints nothing."""

    def log_message(self, *arguments):
        pass


class Server:
    """A folder of small original-format files, what is in them, and where they are downloaded."""

    def __init__(self, name: str, folder: Path, address: str, root: Path, monkeypatch):
        self.name, self.folder, self.address, self.root = name, folder, address, root
        self.title, class_name, self.dataset_folder = downloads.DOWNLOADS[name]
        self.dataset = getattr(torchvision.datasets, class_name)
        self.patch = monkeypatch.setattr
        self.images, self.labels = {}, {}
        folder.mkdir()
        getattr(self, name)(np.random.default_rng(0))

    def fashion_mnist(self, generator: np.random.Generator) -> None:
        for part, count in (("train", 20), ("t10k", 6)):
            self.images[part] = generator.integers(256, size=(count, 28, 28), dtype=np.uint8)
            self.labels[part] = generator.integers(10, size=count, dtype=np.uint8)
            self.write(f"{part}-images-idx3-ubyte.gz", idx(self.images[part]))
            self.write(f"{part}-labels-idx1-ubyte.gz", idx(self.labels[part]))
        self.patch(self.dataset, "mirrors", [self.address])
        names = [name for name, _ in self.dataset.resources]
        self.patch(self.dataset, "resources", [(name, self.md5(name)) for name in names])

    def cifar10(self, generator: np.random.Generator) -> None:
        train, test = self.dataset.train_list, self.dataset.test_list
        files = {"batches.meta": {"label_names": [f"thing {number}" for number in range(10)]}}
        for part, names in (("train", train), ("t10k", test)):
            images = generator.integers(256, size=(len(names), 4, 3, 32, 32), dtype=np.uint8)
            labels = generator.integers(10, size=(len(names), 4), dtype=np.uint8)
            self.images[part], self.labels[part] = images.reshape(-1, 3, 32, 32), labels.ravel()
            for (name, _), some, their in zip(names, images, labels, strict=True):
                files[name] = {"data": some.reshape(4, -1), "labels": their.tolist()}
        files = {name: b"\x80\x02" + python_2_pickle(x) + b"." for name, x in files.items()}
        with tarfile.open(self.folder / self.dataset.filename, "w:gz") as archive:
            for name, content in files.items():
                entry = tarfile.TarInfo(f"{self.dataset.base_folder}/{name}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        md5 = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
        self.patch(self.dataset, "url", self.address + self.dataset.filename)
        self.patch(self.dataset, "tgz_md5", self.md5(self.dataset.filename))
        self.patch(self.dataset, "train_list", [[name, md5[name]] for name, _ in train])
        self.patch(self.dataset, "test_list", [[name, md5[name]] for name, _ in test])
        self.patch(self.dataset, "meta", self.dataset.meta | {"md5": md5["batches.meta"]})

    def write(self, name: str, content: bytes) -> None:
        (self.folder / name).write_bytes(content)

    def md5(self, name: str) -> str:
        return hashlib.md5((self.folder / name).read_bytes()).hexdigest()

    def load(self, **arguments) -> Examples:
        return load(self.name, root=self.root, **arguments)

    def left(self) -> list[str]:
        return sorted(path.name for path in self.root.iterdir()) if self.root.exists() else []


@pytest.fixture(params=downloads.DOWNLOADS)
def server(request, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "server"
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder)) as http:
        http.handle_error = lambda *arguments: None  # torchvision hangs up after looking
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        address = f"http://127.0.0.1:{http.server_port}/"
        yield Server(request.param, folder, address, tmp_path / "downloads", monkeypatch)
        http.shutdown()
        thread.join()


@pytest.mark.parametrize(("train", "part"), [(True, "train"), (False, "t10k")])
def test_a_download_is_read_as_it_was_written(server, train, part):
    inputs, targets, classes = server.load(train=train)
    images = server.images[part].reshape(*inputs.shape)
    assert inputs.dtype == torch.float32 and targets.dtype == torch.int64
    assert np.array_equal((inputs * 255).round().numpy(), images)
    assert inputs.shape[1:] == ((1, 28, 28) if server.name == "fashion_mnist" else (3, 32, 32))
    assert targets.tolist() == server.labels[part].tolist()
    assert classes[9] == ("Ankle boot" if server.name == "fashion_mnist" else "thing 9")
    assert server.left() == [server.dataset_folder]


def offline(*arguments, **options):
    raise URLError("Name or service not known")


def test_what_is_there_needs_no_connection(server, monkeypatch):
    first = server.load()
    monkeypatch.setattr(urllib.request, "urlopen", offline)
    assert torch.equal(first.inputs, server.load(download=False).inputs)
    assert torch.equal(first.inputs, server.load().inputs)


def test_a_progress_bar_is_shown(server, monkeypatch, capsys):
    utils = torchvision.datasets.utils  # the suite runs with TQDM_DISABLE, read at tqdm's import
    monkeypatch.setattr(utils, "tqdm", partial(utils.tqdm, disable=False))
    server.load()
    assert "100%" in capsys.readouterr().err


def test_offline_is_one_sentence_that_says_what_to_do(server, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(urllib.request, "urlopen", offline)
        with pytest.raises(ConnectionError) as caught:
            server.load()
    message = str(caught.value)
    for part in (server.title, str(server.root), "Name or service", "connect", "load('digits')"):
        assert part in message
    assert "\n" not in message and caught.value.__cause__ is not None
    assert server.left() == []
    assert len(server.load().inputs) == 20  # connected again, the same call works


def test_not_there_and_not_to_be_downloaded(server):
    with pytest.raises(FileNotFoundError, match=f"{server.title} is not in .* call load"):
        server.load(download=False)
    assert server.left() == []


def test_a_truncated_download_leaves_nothing(server):
    for path in server.folder.iterdir():
        path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ConnectionError, match=f"{server.title} could not be downloaded whole"):
        server.load()
    assert server.left() == []


def test_an_interrupted_extraction_leaves_nothing(server, monkeypatch):
    """Torchvision takes Fashion-MNIST's files for good if they exist: half a file must not."""
    utils = torchvision.datasets.utils

    def interrupted(*arguments, **options):
        extract(*arguments, **options)
        raise KeyboardInterrupt

    extract = utils.extract_archive
    with monkeypatch.context() as patch:
        patch.setattr(utils, "extract_archive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            server.load()
    assert server.left() == []
    assert len(server.load().inputs) == 20


def test_an_interrupt_in_the_middle_of_a_file_leaves_nothing(server, monkeypatch):
    read, parts = HTTPResponse.read, iter([100])

    def two_parts(response, amount):
        for part in parts:
            return read(response, part)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(HTTPResponse, "read", two_parts)
        with pytest.raises(KeyboardInterrupt):
            server.load()
    assert server.left() == []
    assert len(server.load().inputs) == 20


def test_a_full_disk_is_not_taken_for_a_lost_connection(server, monkeypatch):
    class Full(io.FileIO):
        def write(self, content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def open_full(file, mode="r", **options):
        return Full(file, "w") if "w" in mode else open(file, mode, **options)

    with monkeypatch.context() as patch:
        patch.setattr(torchvision.datasets.utils, "open", open_full, raising=False)
        with pytest.raises(OSError, match=f"{server.title} could not be written into") as caught:
            server.load()
    message = str(caught.value)
    assert str(server.root) in message and "No space left on device" in message
    assert "Internet" not in message and "root=" in message
    assert server.left() == []
    assert len(server.load().inputs) == 20  # with room again, the same call works


def test_files_that_were_changed_later_are_named(server):
    server.load()
    for path in (server.root / server.dataset_folder).rglob("*"):
        if path.is_file() and path.suffix != ".gz":
            path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(OSError, match="cannot be read .* delete that folder and call") as caught:
        server.load()
    assert str(server.root / server.dataset_folder) in str(caught.value)


def test_a_connection_that_stalls_is_given_up(server, monkeypatch):
    monkeypatch.setattr(downloads, "STALLED", 0.1)
    before = socket.getdefaulttimeout()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the call and never answers
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        monkeypatch.setattr(server.dataset, "mirrors", [address], raising=False)
        monkeypatch.setattr(server.dataset, "url", address + "file.tar.gz", raising=False)
        hang_up = threading.Timer(10, silent.close)  # so that a missing limit fails, and not hangs
        hang_up.start()
        with pytest.raises(ConnectionError, match="timed out"):
            server.load()
        hang_up.cancel()
    assert server.left() == [] and socket.getdefaulttimeout() == before


def test_downloads_go_into_the_checkout_or_the_cache(monkeypatch, tmp_path):
    assert downloads.default_root() == Path(__file__).parents[1] / "data" / "downloads"
    monkeypatch.setattr(downloads, "__file__", str(tmp_path / "course_utils" / "downloads.py"))
    assert downloads.default_root() == Path.home() / ".cache" / "course_utils"
