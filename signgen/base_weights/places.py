"""From what a configuration says to a folder on this machine: a local folder, or the hub's cache."""

from __future__ import annotations

import re
from pathlib import Path

from signgen.base_weights.catalogue import BaseWeights
from signgen.errors import InputError, RunError

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def find(part: BaseWeights, where: str, allow_download: bool = False) -> Path:
    """The folder with ``config.json`` and the weight file of a part.

    Args:
        where: a folder that holds the part or its ``subfolder``, or a hub id.
        allow_download: fetch what a hub id lacks in the hub's local cache.

    Raises:
        InputError: it is not on this machine; the message has the command that gets it.
        RunError: it could not be fetched.
    """
    folder = find_here(part, where)
    if folder is not None:
        return folder
    hub = is_hub_id(where)
    if hub and allow_download:
        return _fetch(part, where)
    got = f"{part.what} is not on this machine" if hub else f"no {part.what} in this folder"
    raise InputError(f"start.{part.name}: {where}", got, f"get it with: {part.command(where, hub)}")


def find_here(part: BaseWeights, where: str) -> Path | None:
    """As `find`, but without any word to the hub, and None where the part is missing or incomplete."""
    for inside in dict.fromkeys((part.subfolder, "")):
        if is_hub_id(where):
            folder = _cached(part, where, inside)
        else:
            folder = _complete(part, Path(where) / inside)
        if folder is not None:
            return folder
    return None


def weight_file(part: BaseWeights, folder: Path) -> Path:
    """The best of the weight files that a folder has."""
    for name in part.files:
        if (folder / name).is_file():
            return folder / name
    raise InputError(folder, f"holds no {' or '.join(part.files)}", "weights are read from safetensors files only")


def is_hub_id(where: str) -> bool:
    """True for ``owner/name``, unless it is, or begins with, a folder that is there."""
    return HUB_ID.fullmatch(where) is not None and not Path(where).exists() and not Path(where).parent.is_dir()


def _complete(part: BaseWeights, folder: Path) -> Path | None:
    there = (folder / "config.json").is_file() and any((folder / name).is_file() for name in part.files)
    return folder if there else None


def _cached(part: BaseWeights, hub_id: str, inside: str) -> Path | None:
    from huggingface_hub import constants, try_to_load_from_cache

    prefix = f"{inside}/" if inside else ""
    found = try_to_load_from_cache(hub_id, f"{prefix}config.json", cache_dir=constants.HF_HUB_CACHE)
    return _complete(part, Path(found).parent) if isinstance(found, str) else None


def _fetch(part: BaseWeights, hub_id: str) -> Path:
    """Asks the hub for the two files that are needed, first where the public copy has them, then at the top."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    for inside in dict.fromkeys((part.subfolder, "")):
        for name in part.files:
            try:
                hf_hub_download(hub_id, name, subfolder=inside or None)
                return Path(hf_hub_download(hub_id, "config.json", subfolder=inside or None)).parent
            except EntryNotFoundError:
                continue
            except Exception as error:  # of many kinds: the network's, the hub's, the disk's
                reason = " ".join(str(error).split())[:160]
                raise RunError(hub_id, f"cannot be fetched ({reason})", "check the id, the network, the disk") from None
    raise InputError(hub_id, f"has no {part.what} in safetensors", f"the public copy is {part.hub}")
