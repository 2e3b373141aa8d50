"""Batches made ahead of their use, so that a device does not wait for files."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, TypeVar

T = TypeVar("T")


def made_ahead(
    make: Callable[[int], T], steps: Iterable[int], ahead: int, threads: int = 1
) -> AbstractContextManager[Iterator[T]]:
    """`Prefetch`, or with ``ahead`` 0 the same results each made when it is asked for."""
    return Prefetch(make, steps, ahead, threads) if ahead else nullcontext(map(make, steps))


class Prefetch(Generic[T]):
    """``make(step)`` for each of ``steps``, in their order, the next ones made by threads meanwhile.

    What comes out depends on ``make`` and ``steps`` alone, so a batch that is drawn from (seed, step) is the same with
    any number of threads, and a run that is resumed at a step goes on with the same ones. Threads suffice where the
    work gives up Python's lock, as copies of arrays, PNG decoding and the pose images do.

    Args:
        make: called in another thread; what it raises is raised where its result is asked for.
        steps: any iterable, an endless one as well.
        ahead: how many results are made before they are asked for; each stays in memory.
        threads: how many are made at the same time.
    """

    def __init__(self, make: Callable[[int], T], steps: Iterable[int], ahead: int = 2, threads: int = 1) -> None:
        if ahead < 1 or threads < 1:
            raise ValueError(f"ahead {ahead} and threads {threads} must be 1 or more")
        self._make, self._steps = make, iter(steps)
        self._pool = ThreadPoolExecutor(threads, "prefetch")
        self._waiting: deque[Future[T]] = deque()
        for _ in range(ahead):
            self._submit()

    def __enter__(self) -> Prefetch[T]:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if not self._waiting:
            raise StopIteration
        first = self._waiting.popleft()
        self._submit()
        return first.result()

    def close(self) -> None:
        """Drops what was not asked for and ends the threads."""
        self._waiting.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self) -> None:
        for step in self._steps:
            self._waiting.append(self._pool.submit(self._make, step))
            return
