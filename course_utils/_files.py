"""Files that appear whole or not at all, and one sentence where they cannot be written."""

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

STALE = 24 * 3600.0  # seconds: what is half-written for so long was left by a killed process


class WriteError(OSError):
    """A file or folder that cannot be written; the message names it and the reason."""


def write(path: Path, content: str | bytes) -> None:
    """Make `content` (text as UTF-8) the file at `path`, in a folder that is made if need be.

    It is written beside its place first: whatever goes wrong, `path` stays as it was.

    Raises
    ------
    WriteError
        If the disk is full, say, or the folder read-only.
    """
    content = content.encode("utf-8") if isinstance(content, str) else content
    # A name of this process alone: another one may be writing the same file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_stale(path.parent, f".{path.name}.*.partial")
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        raise WriteError(f"{path} could not be written: {_reason(error)}") from error
    finally:
        with suppress(OSError):  # it is renamed, or a read-only folder refuses even this
            temporary.unlink()


def remove_stale(folder: Path, pattern: str) -> None:
    """Remove what a killed process left in `folder`: old files and folders like `pattern`."""
    for left in folder.glob(pattern):
        with suppress(OSError):  # it is gone by now, or not ours
            if time.time() - left.stat().st_mtime > STALE:
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def check_writable(folder: Path) -> None:
    """Fail before the work whose results go into `folder`, which is made if need be.

    Raises
    ------
    WriteError
        If no file can be made in `folder`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise WriteError(f"nothing can be written into {folder}: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    """What the system says, without the number and the temporary file's name."""
    return error.strerror or str(error)
