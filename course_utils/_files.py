"""Files that appear whole or not at all, and one sentence where they cannot be written."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path


class WriteError(OSError):
    """A file or folder that cannot be written; the message names it and the reason."""


def write(path: Path, content: str | bytes) -> None:
    """Make `content` (text as UTF-8) the file at `path`, in a folder that is made if need be.

    It is written beside its place first: whatever goes wrong, `path` stays as it was.
    """
    content = content.encode("utf-8") if isinstance(content, str) else content
    # A name of this process alone: another one may be writing the same file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        raise WriteError(f"{path} could not be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # it is renamed, or a read-only folder refuses even this
            temporary.unlink()


def check_writable(folder: Path) -> None:
    """Fail before the work whose results go into `folder`, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        reason = error.strerror or error
        raise WriteError(f"nothing can be written into {folder}: {reason}") from error
