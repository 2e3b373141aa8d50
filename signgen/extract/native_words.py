"""Keeps what native libraries write to standard error from the user, unless something goes wrong."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

STANDARD_ERROR = 2


@contextmanager
def kept_aside() -> Iterator[None]:
    """Standard error, also that of C++ code in any thread, goes to a temporary file inside of the block.

    It is written out after all if the block raises. To be used around little: what Python threads say meanwhile is
    kept aside too.
    """
    sys.stderr.flush()
    try:
        before = os.dup(STANDARD_ERROR)
    except OSError:  # this process has none
        yield
        return
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), STANDARD_ERROR)
        failed = True
        try:
            yield
            failed = False
        finally:
            sys.stderr.flush()
            os.dup2(before, STANDARD_ERROR)
            os.close(before)
            if failed:
                aside.seek(0)
                with open(STANDARD_ERROR, "wb", closefd=False) as shown:
                    shutil.copyfileobj(aside, shown)
