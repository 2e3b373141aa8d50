"""Work that goes on beside the denoiser: drawing the next window's poses, composing and encoding finished frames.

Order and results are those of doing one thing after the other; never more than a few windows wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The items of an iterator, each made in a thread while the one before it is being used.

    What it raises is raised where its item would have come.
    """
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="signgen-ahead") as pool:
        waiting = pool.submit(next, items, end)
        while (item := waiting.result()) is not end:
            waiting = pool.submit(next, items, end)
            yield item  # type: ignore[misc]


@contextmanager
def loaded_meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Calls ``work`` once in a thread beside the block, for what it loads; what it returns or raises is dropped."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="signgen-loading")
    pool.submit(work)
    try:
        yield
    finally:
        pool.shutdown(wait=False)


class Behind(Generic[T]):
    """Calls ``work`` with one item after the other in a thread, while the caller goes on.

    ``with Behind(work) as behind: behind(item)``. At the end of the block everything is done. An exception of ``work``
    is raised by a later call or at the end; where the block itself fails, what has not begun is dropped.

    Args:
        work: called with the items in their order.
        depth: items that may wait; the next call then waits for the oldest of them.
    """

    def __init__(self, work: Callable[[T], None], depth: int = 2) -> None:
        self._work, self._depth = work, depth
        self._pending: deque[Future[None]] = deque()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="signgen-behind")

    def __call__(self, item: T) -> None:
        while self._pending and (len(self._pending) >= self._depth or self._pending[0].done()):
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(self._work, item))

    def __enter__(self) -> Behind[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            while kind is None and self._pending:
                self._pending.popleft().result()
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)
