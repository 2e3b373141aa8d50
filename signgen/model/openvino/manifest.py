"""What lies beside exported models and says what they were made of."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from signgen.errors import InputError

FILE = "export.json"
COMPILED = "compiled"  # folder inside an export where OpenVINO keeps what it made of it for this processor
KIND = "signgen export"
OPEN = -1  # the side of a shape that is the number of views or frames
FORMAT = 2  # of the graphs' inputs and outputs; what has another number is exported anew


@dataclass(frozen=True)
class ExportManifest:
    """An export.

    Attributes:
        weights_sha256: of the model's weights, `SignGenPipeline.weights_sha256`.
        model: its name when it was exported.
        frame_size, canvas_size: (W, H).
        inputs: by graph, by input: its shape, `OPEN` for the number of views or frames.
        precision: by graph: ``float16`` (stored so, computed in what the CPU is best at) or ``int8``.
        versions: of signgen, torch, openvino.
        format: see `FORMAT`.
    """

    weights_sha256: str
    model: str
    frame_size: tuple[int, int]
    canvas_size: tuple[int, int]
    inputs: dict[str, dict[str, list[int]]]
    precision: dict[str, str]
    versions: dict[str, str]
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        content = json.dumps({"kind": KIND, **asdict(self)}, indent=2, ensure_ascii=False)
        (folder / FILE).write_text(content + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: str | Path) -> ExportManifest:
        """From a folder that `signgen export` wrote.

        Raises:
            InputError: there is none, or one of another format.
        """
        advice = "write it with: signgen export MODEL"
        try:
            content: Any = json.loads((Path(folder) / FILE).read_text(encoding="utf-8"))
            if not isinstance(content, dict) or content.pop("kind", None) != KIND:
                raise ValueError
            if content.get("format") != FORMAT:
                raise InputError(folder, f"is an export of format {content.get('format')}", advice)
            names = {field.name for field in fields(cls)}
            values = {key: tuple(value) if key.endswith("_size") else value for key, value in content.items()}
            return cls(**{key: value for key, value in values.items() if key in names})
        except (OSError, ValueError, TypeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(folder, f"holds no readable {FILE}", advice) from None
