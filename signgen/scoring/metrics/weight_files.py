"""Published weights from local files: `.pth` or `.safetensors`, checked against the network that wants them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from signgen.errors import Damaged, Mismatch, Missing, NotFound, Unsupported
from signgen.extraction.packages import UNREADABLE

DIGITS = 8  # of a file's SHA-256: torchvision's files carry as many in their names
_LISTED = 6  # missing keys that an error names before it only counts


@dataclass(frozen=True)
class Published:
    """A file of weights that has to be fetched by hand.

    Attributes:
        metric: which wants it.
        file: its published name.
        url: where it is published.
        folder_may_hold: other names that a folder may hold it under.
        made_by: the command that makes it, where it is not published as it is.
    """

    metric: str
    file: str
    url: str
    folder_may_hold: tuple[str, ...] = ()
    made_by: str = ""

    @property
    def advice(self) -> str:
        if self.made_by:
            return f"make {self.file} of {self.url} with: {self.made_by}"
        return f"it needs {self.file} from {self.url}, or the same as .safetensors"

    def find(self, path: str | Path | None) -> Path:
        """The file at ``path``, or inside it where it is a folder; nothing is ever downloaded.

        Raises:
            InputError: there is none.
        """
        if path is None:
            raise Missing(self.metric, "no weights given", self.advice)
        path = Path(path)
        if path.is_file():
            return path
        if not path.is_dir():
            raise NotFound(path, "no such file or folder", f"{self.metric}: {self.advice}")
        names = (self.file, Path(self.file).with_suffix(".safetensors").name, *self.folder_may_hold)
        for candidate in (path / name for name in names):
            if candidate.is_file():
                return candidate
        raise NotFound(path, f"holds none of {', '.join(names)}", f"{self.metric}: {self.advice}")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """A state dict in float32 on the CPU; code in a ``.pth`` file is not run.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    try:
        content = _read(path)
    except UNREADABLE as error:
        reason = str(error).partition("\n")[0][:120]
        raise Damaged(
            path, f"cannot be read ({reason})", "fetch it again: a .pth or .safetensors state dict"
        ) from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise Unsupported(
            path, "is no state dict", "give tensors by name, as torch.save(model.state_dict()) writes them"
        )
    return {str(name): value.float() for name, value in content.items()}


def _read(path: Path) -> object:
    if path.suffix.lower() == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def fill(network: nn.Module, tensors: Mapping[str, Tensor], source: object, advice: str) -> None:
    """Load a network's own names from ``tensors``; what it does not want (a classifier's end) is left aside.

    Counters of batches, which old files lack and nothing reads, need not be there.

    Raises:
        InputError: names are missing or have another shape; it lists them.
    """
    wanted = {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    missing = [name for name in wanted if name not in tensors]
    if missing:
        raise Mismatch(source, f"lacks {_listed(missing)}", advice)
    shapes = [f"{name} {tuple(tensors[name].shape)}" for name in wanted if tensors[name].shape != wanted[name].shape]
    if shapes:
        raise Mismatch(source, f"has another shape in {_listed(shapes)}", advice)
    network.load_state_dict({name: tensors[name] for name in wanted}, strict=False)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
