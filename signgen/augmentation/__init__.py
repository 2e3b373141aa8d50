"""Each clip of a data set signed again by other people, in the files that recognisers read.

    settings.py, variation.py   what is made of a clip: everything that its content depends on
    signers.py                  who signs: built-in, drawn, or of pictures; chosen evenly over looks
    origin.py                   the data set with its keypoints, and whether clips were made from these
    recipe.py                   what it starts from: signers, model, and augment.json, which says so
    jobs.py                     which clips are made, their names, seeds and signers, and what they will take
    clip.py, gate.py            one clip: fitted, rendered, judged, put in place
    cluster.py                  many clips by the actors of a Ray cluster
    store.py                    where clips lie, and the manifest: one JSON line a clip
    originals.py                the data set's own clips in the new one
    finishing.py, layouts/      the finished data set, and the files that recognisers read
    run.py                      all of it in order, by one process of this machine or several

A clip's files depend on (source clip, copy number, seed, settings, weights) alone: shards, clusters and resumed runs
write the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from signgen.errors import Mismatch

__all__ = ["augment"]


def augment(
    dataset: str | Path,
    out: str | Path,
    signers: int | str | Sequence[str] | None = None,
    *,
    signers_from: str | Path | None = None,
    vary: str | Sequence[str] = "all",
    mirror: float = 0.0,
    keypoints: Sequence[str] = (),
    originals: str = "link",
    leave_out: bool = False,
    jobs: int = 1,
    share: tuple[int, int] = (1, 1),
    ray: str | None = None,
    merge: bool = False,
    dry_run: bool = False,
    say: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Signs the clips of a data set again with other signers, as ``signgen augment`` does.

    The same call goes on with a run that was stopped.

    Args:
        dataset: in PHOENIX14T's layout.
        out: folder of the new data set.
        signers: how many, built-in and then drawn ones, None: 32; or names, or pictures with a keypoint file beside
            them.
        signers_from: a folder of such pictures; ``signers`` then says how many of them, None: all.
        vary: ``all``, ``none``, or any of tempo, space, tilt, noise, framing, each with ``=AMOUNT`` if you like.
        mirror: share of copies with exchanged hands, 0 to 1.
        keypoints: files or folders of keypoints; none: those beside the data set.
        originals: ``link``, ``copy`` or ``none``: how the data set's own clips get into ``out``.
        leave_out: clips that failed the gate are left out of the layouts' files.
        jobs: worker processes; 0: as many as the cores allow, or one on a GPU.
        share: (I, N): this call does share I of N of the work.
        ray: address of a Ray cluster, or ``local``.
        merge: make nothing, check the finished shares and write the layouts' files.
        dry_run: say what it would take and what was measured to be gained, and write nothing.
        say: called with each line of the plan.
        progress: called as ``progress(clips done, clips in all)``.
        **settings: the other fields of `signgen.augmentation.settings.Settings`: copies, splits, layouts, media, seed,
            model, steps, gate ...

    Returns:
        Plain data: output, clips, done, left_out, failed_gate, written ...

    Raises:
        InputError: bad input, or the folder holds something else.
        RunError: a failure while running, after which the same call goes on.

    Example:
        >>> from signgen import augment
        >>> result = augment("drawn", "more", signers="alma", copies=1, model="my-model", gate=None)
        >>> result["done"], result["clips"]
        (1, 1)
    """
    from signgen.augmentation.run import Task
    from signgen.augmentation.run import augment as run
    from signgen.augmentation.settings import Settings
    from signgen.augmentation.signers import pick_signers
    from signgen.augmentation.variation import Variation

    if signers is None or isinstance(signers, (int, str)):
        chosen = pick_signers(None if signers is None else str(signers), signers_from)
    elif signers_from is None:
        chosen = tuple(signers)
    else:
        raise Mismatch("signers", "got names with signers_from", "give how many of the folder's, or leave it out")
    asked = Settings(chosen, variation=Variation.parse([vary] if isinstance(vary, str) else vary, mirror), **settings)
    task = Task(dataset, Path(out), asked, tuple(keypoints), share, jobs, ray, originals, leave_out, merge, dry_run)

    @contextmanager
    def counted(total: int, label: str) -> Iterator[Callable[[int], None]]:
        done = 0

        def advance(clips: int) -> None:
            nonlocal done
            done += clips
            if progress is not None:
                progress(done, total)

        yield advance

    return run(task, say or (lambda line: None), counted)
