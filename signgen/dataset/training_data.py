"""The data set of a training run: what `signgen prepare` wrote, or a frame cache that is built on first use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from signgen.dataset.cache import FILES, INDEX, FrameCache, build_cache, split_of
from signgen.dataset.files import damaged
from signgen.dataset.persons.tables import holds_pairs
from signgen.dataset.phoenix import Clip, PhoenixIndex, is_release
from signgen.dataset.prepared import is_prepared, open_prepared
from signgen.errors import Mismatch, Missing, NotFound, NotWritable, RunError, Unsupported
from signgen.files import discard, reason
from signgen.keypoints import read_keypoints
from signgen.keypoints.units import check_placed

# What is made of a cache's clips and lies beside it, by their numbers: latents, and what a model paints of them.
DERIVED = ("latents-*.npy", "coarse-*", "hands-*", "faces-*")


def cache_folder(data: str | Path, chosen: str | Path = "", split: str = "train") -> Path:
    """Where the frame cache of a data set lies: in the ``chosen`` folder, else beside its release tree.

    What `signgen prepare` wrote is its own cache, one folder a split.
    """
    if is_prepared(data):
        return Path(data) / split
    return Path(chosen) if chosen else Path(data) / "cache"


def open_data(data: str | Path, folder: Path, split: str = "train") -> FrameCache:
    """The frame cache of a data set in PHOENIX14T's layout, built on first use and again when its clips or their
    keypoints have changed.

    A folder that `signgen prepare` wrote is opened as it is.
    """
    if is_prepared(data):
        return open_prepared(data, split)
    if holds_pairs(Path(data)):
        raise Unsupported(data, "is a data set of pairs as it is published", "prepare it: signgen prepare DATA OUT")
    if not Path(data).is_dir():
        raise NotFound(data, "no such data set", "write one with: signgen synthesize, or name another folder")
    if (folder / INDEX).is_file():
        cache = FrameCache.open(folder)
        if not is_release(data):  # only its cache is there, as on a machine lent for training
            _check_split(folder, split)
            return cache
        clips = PhoenixIndex(data).clips(split)
        same = [clip.name for clip in clips] == [clip.name for clip in cache.clips]
        if same and not _written_anew(clips, cache, (folder / INDEX).stat().st_mtime):
            return cache
        _remove(folder)
    try:
        return build_cache(_clips(Path(data), split), folder, split=split)
    except (PermissionError, NotWritable):
        raise NotWritable(folder, "cannot be written", "give a folder that can be: --set cache=FOLDER") from None
    except OSError as error:
        advice = "free some space, or give another folder: --set cache=FOLDER"
        raise RunError(folder, reason(error, folder), advice) from error


def _written_anew(clips: Sequence[Clip], cache: FrameCache, built: float) -> bool:
    """Whether a clip has other keypoints than in its cache. Only files newer than the cache are read: those of a data
    set that was copied are, and have not changed.
    """
    for clip, there in zip(clips, cache.clips, strict=True):
        if clip.keypoints is None or clip.keypoints.stat().st_mtime <= built:
            continue
        now = np.asarray(clip_points(clip.keypoints), np.float32)
        if not np.array_equal(now, cache.keypoints[there.start : there.stop], equal_nan=True):
            return True
    return False


def _check_split(folder: Path, split: str) -> None:
    known = split_of(folder)
    if known not in ("", split):
        raise Mismatch(folder, f"is of the split {known!r}, not {split!r}", "name another folder: --set cache=FOLDER")


def _remove(folder: Path) -> None:
    """Takes a cache away, what was made of it first: a kill leaves nothing that belongs to other clips."""
    for stale in (*(path for kind in DERIVED for path in folder.glob(kind)), *(folder / name for name in FILES)):
        if stale.exists():
            discard(stale)


def _clips(root: Path, split: str) -> Iterator[tuple[str, str, Iterator[np.ndarray], np.ndarray]]:
    """(name, speaker, frames, keypoints (T, 133, 3)) of every clip of a split."""
    for clip in PhoenixIndex(root).clips(split):
        if clip.keypoints is None:
            raise Missing(clip.name, "has no keypoint file", f"put it into {root}/keypoints")
        yield clip.name, clip.speaker, clip.pictures(), clip_points(clip.keypoints)


def clip_points(path: Path) -> np.ndarray:
    """(T, 133, 3). Our own files keep where a joint is that nobody can see; `Keypoints` has no place for that."""
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as archive:
                if "keypoints" in archive and archive["keypoints"].shape[1:] == (133, 3):
                    return np.nan_to_num(archive["keypoints"].astype(np.float32), posinf=0, neginf=0)
        except (OSError, ValueError, EOFError, BadZipFile) as error:
            raise damaged(path, error, "write or copy it again") from error
    read = read_keypoints(path)
    check_placed(read, str(path), "the frames'")
    keypoints = read.keypoints
    return np.concatenate((keypoints.xy, keypoints.confidence[..., None]), -1)
