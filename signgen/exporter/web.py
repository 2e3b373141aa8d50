"""A static page that renders in a browser: ONNX graphs, their weights in eight bits, the built-in signers, JavaScript.

What lies around the graphs is in `page`: each of its modules names the Python files that it follows.
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from signgen.errors import NotFound, NotInstalled, NotWritable, RunError, Unsupported
from signgen.exporter.build import load_checked, new_folder
from signgen.exporter.onnx_graphs import check_installed, write_graphs
from signgen.keypoints.formats.openpose import FROM_BODY_18, FROM_BODY_25
from signgen.keypoints.formats.pose import body_names
from signgen.keypoints.layouts.holistic import FACE_MESH, HOLISTIC_BODY
from signgen.keypoints.layouts.wholebody import HALPE_136
from signgen.keypoints.skeleton import FEET, MIRROR
from signgen.model.diffusion.guidance import branch_weights
from signgen.model.diffusion.sampling import schedule, step_function
from signgen.model.schedulers import noised
from signgen.package import EXAMPLES, PERSONAL, versions
from signgen.pose_image import palette
from signgen.pose_image.solid.hand import anatomy, hand_mesh
from signgen.rendering.sample_windows import FIRST_VIEWS, backdrop_of, draw_canvas
from signgen.rendering.scene import place_source
from signgen.rendering.source import builtin_names, load_source

if TYPE_CHECKING:
    from onnx import ModelProto

    from signgen.model import SignGenPipeline

PAGE = Path(__file__).parent / "page"
EXAMPLE = EXAMPLES / "weather.pose"
RUNTIME = "onnxruntime-web"
RUNTIME_VERSION = "1.30.0"
# Of the package's `dist`: for WebAssembly, and for WebGPU.
RUNTIME_FILES = (
    "ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm",
)  # fmt: skip
FILES = r"[\w-]+\.(js|html|css|json|pose|onnx\.gz|bin\.gz)|ort"
KIND = "signgen page"  # as model.json has it
LARGEST = 15 * 10**6  # bytes of weights, graphs and one signer, which a viewer downloads
LEAST_PACKED = 1024  # numbers of a tensor from which on it is stored in fewer bits
CHANNELS_AT_ONCE = 4  # that ONNX Runtime loads with WebGPU
TRIED, TRIED_VIEWS, TRIED_TIMESTEP = 100, 2, 500  # numbers of an output that are compared; inputs of that
_WEIGHTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")  # operators whose second input may be in eight bits
COMPOSER = "composer"  # the graph that puts frames before the source's backdrop, where a model has one
_EXACT = "letterbox."  # matrices that resize pictures


def export_web(
    model: str | Path, output: str | Path, runtime: str | Path | None = None, say: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Writes a page that renders in a browser, as ``signgen export --web`` does.

    The folder appears whole or not at all, and replaces an earlier page. Any web server can serve it; nothing in it
    asks another server.

    Args:
        model: ``"mini"`` or a folder in diffusers' layout.
        output: the page's folder.
        runtime: a folder with `RUNTIME`'s files, such as ``node_modules/onnxruntime-web``; None: npm fetches it.
        say: called with what is done next.

    Returns:
        Plain data: output, model, weights_sha256, runtime (its version), bytes (of graphs, weights and one signer,
        which a viewer downloads), seconds.

    Raises:
        InputError: an unknown model, a folder that holds other things, no runtime, or onnx is not installed.
        RunError: a network that cannot be converted, npm that failed, or weights that are too many.

    Example:
        >>> from signgen.exporter import export_web
        >>> export_web("mini", "page", runtime="node_modules/onnxruntime-web")["runtime"]
        '1.30.0'
    """
    begun = time.monotonic()
    check_installed("onnx", "onnxruntime")
    target, say = Path(output), say or (lambda name: None)
    _check_is_page(target)
    pipeline = load_checked(model, target, FILES)
    _check_model(pipeline)
    with new_folder(target, FILES) as temporary:
        say(RUNTIME)
        version = _place_runtime(None if runtime is None else Path(runtime), temporary / "ort")
        for path in sorted(PAGE.iterdir()):
            shutil.copyfile(path, temporary / path.name)
        shutil.copyfile(EXAMPLE, temporary / EXAMPLE.name)
        size = write_model(pipeline, temporary, say)
        if size > LARGEST:
            got = f"its graphs and weights take {size / 1e6:.1f} MB"
            raise RunError(pipeline.name, got, f"a page may load {LARGEST / 1e6:.0f} MB: export a smaller model")
    return {
        "output": str(target),
        "model": str(model),
        "weights_sha256": pipeline.weights_sha256(),
        "runtime": version,
        "bytes": size,
        "seconds": round(time.monotonic() - begun, 1),
    }


def _check_is_page(folder: Path) -> None:
    """Raises `NotWritable` for a folder that holds something and is no page of ours: any website has such names."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    try:
        known = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = None
    if not (isinstance(known, dict) and known.get("kind") == KIND):
        raise NotWritable(folder, "holds files that are no page of signgen's", "give a new or empty folder")


def _check_model(pipeline: SignGenPipeline) -> None:
    """Raises `Unsupported` for a model that the page's JavaScript does not know how to drive."""
    wanted = {
        "views that do not see each other": not pipeline.couples_views,
        f"pose images of style {pipeline.config.pose_style}": pipeline.config.pose_style != "signgen",
        "own poses of its sources": pipeline.denoiser.config.source_pose or pipeline.config.source_poses,
        f"guidance by the rule {pipeline.config.guidance_rule}": pipeline.config.guidance_rule != "fpdm",
    }
    for got, met in wanted.items():
        if met:
            raise Unsupported(pipeline.name, f"has {got}", "the page cannot drive it; use --onnx")
    if pipeline.folder is not None and (pipeline.folder / PERSONAL).is_file():
        got = "shows a person, and a page gives it to everybody who opens it, with built-in signers only"
        raise Unsupported(pipeline.name, got, "export mini, or render with the model itself")


# --- ONNX Runtime -------------------------------------------------------------------------------------------------
def _place_runtime(given: Path | None, folder: Path) -> str:
    """Copies ONNX Runtime's files into a new folder; returns its version."""
    if given is not None:
        return _copied(given, folder)
    npm = shutil.which("npm")
    if npm is None:
        advice = f"install Node.js, or give a copy of {RUNTIME} with --runtime FOLDER"
        raise NotInstalled("npm", "is not installed", advice)
    with tempfile.TemporaryDirectory() as place:
        command = [npm, "pack", f"{RUNTIME}@{RUNTIME_VERSION}", "--pack-destination", place]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        packed = list(Path(place).glob("*.tgz"))
        if done.returncode or not packed:
            got = f"cannot be fetched ({' '.join(done.stderr.split())[-200:]})"
            raise RunError(f"{RUNTIME}@{RUNTIME_VERSION}", got, "give a copy of it with --runtime FOLDER")
        package = Path(place) / "package"
        (package / "dist").mkdir(parents=True)
        with tarfile.open(packed[0]) as archive:
            for name in ("package.json", *(f"dist/{file}" for file in RUNTIME_FILES)):
                with suppress(KeyError):  # what is not in it is told below
                    if (content := archive.extractfile(f"package/{name}")) is not None:
                        (package / name).write_bytes(content.read())
        return _copied(package, folder)


def _copied(package: Path, folder: Path) -> str:
    dist = package / "dist" if (package / "dist").is_dir() else package
    missing = [name for name in RUNTIME_FILES if not (dist / name).is_file()]
    if missing:
        advice = f"give the folder of {RUNTIME} {RUNTIME_VERSION}, such as node_modules/{RUNTIME}"
        raise NotFound(package, f"has no {missing[0]}", advice)
    folder.mkdir()
    for name in RUNTIME_FILES:
        shutil.copyfile(dist / name, folder / name)
    try:
        return str(json.loads((package / "package.json").read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown"


# --- the model ----------------------------------------------------------------------------------------------------
def write_model(pipeline: SignGenPipeline, folder: Path, say: Callable[[str], None] | None = None) -> int:
    """Writes graphs without weights, ``weights.bin.gz``, ``tables.bin.gz``, a file for each built-in signer, and
    ``model.json``, which says what lies where in them, into a folder.

    Returns:
        Bytes that a viewer downloads, of one signer.
    """
    import onnx

    shapes, _ = write_graphs(pipeline, folder, say)
    packed, weights, proofs = _Packed(), {}, {}
    for name in shapes:
        path = folder / f"{name}.onnx"
        graph = onnx.load(path)
        _fill_channels(graph)
        weights[name], kept = _without_weights(graph, f"{name}.data", packed)
        proofs[name] = _proof(graph, f"{name}.data", kept)
        _pack(folder / f"{name}.onnx.gz", graph.SerializeToString())
        path.unlink()
    _pack(folder / "weights.bin.gz", packed.data)
    packed = _Packed()
    tables = {group: _stored(values, packed) for group, values in _tables().items()}
    _pack(folder / "tables.bin.gz", packed.data)
    size, largest, signers = sum(path.stat().st_size for path in folder.glob("*.gz")), 0, {}
    for name in builtin_names():
        packed, made = _Packed(), _signer(pipeline, name, COMPOSER in shapes)
        signers[name] = _stored(made, packed)
        largest = max(largest, _pack(folder / f"{name}.bin.gz", packed.data))
        latents = made["latents"].shape[1:]
    content = {
        "kind": KIND,
        "weights_sha256": pipeline.weights_sha256(),
        "versions": versions(["torch", "onnx"]),
        "bytes": size + largest,
        "latents": latents,
        "orders": {
            "body_25": FROM_BODY_25, "body_18": FROM_BODY_18, "body_136": HALPE_136[: FEET.stop],
            "holistic_body": HOLISTIC_BODY, "face_mesh": FACE_MESH,
            "body_names": body_names("BODY"), "openpose_names": body_names("pose_keypoints_2d"),
        },
        "composes": COMPOSER in shapes,
        "graphs": shapes,
        "weights": weights,
        "proofs": proofs,
        "tables": tables,
        "signers": signers,
        **_settings(pipeline),
    }  # fmt: skip
    (folder / "model.json").write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
    return size + largest


def _settings(pipeline: SignGenPipeline) -> dict[str, Any]:
    """What the page must know of the model to drive it."""
    config = pipeline.config
    known = pipeline.denoiser.known_input
    return {
        "model": pipeline.name,
        "frame_size": pipeline.frame_size,
        "canvas_padding": pipeline.canvas_padding,
        "reference": palette.REFERENCE_SIZE,
        "pixel_aspect": config.pixel_aspect,
        "lower_body": config.lower_body,
        "guided": pipeline.guided,
        "arms": pipeline.composes and pipeline.composer.config.arms,
        "refiners": {name: refiner.config.side for name, refiner in pipeline.refiners.items()},
        "shutter": pipeline.shutter,
        "window": config.window,
        "overlap": max(min(config.overlap, config.window - 2), 0),
        "first_views": FIRST_VIEWS,
        "fill": known.fill if known is not None else "zeros",
        "branches": branch_weights(*config.guidance),
        **_steps(pipeline),
    }


def _steps(pipeline: SignGenPipeline) -> dict[str, Any]:
    """The sampler as numbers: in each step latents become ``keep`` of themselves and ``take`` of the prediction.

    Raises:
        Unsupported: a solver that does not work so, such as one that looks back at earlier predictions.
    """
    scheduler, one, zero = pipeline.scheduler, torch.ones(1), torch.zeros(1)
    timesteps = schedule(scheduler, pipeline.config.steps)
    take = step_function(scheduler)
    steps = []
    for timestep in timesteps:
        keep, share, both = (
            float(take(prediction, timestep, latents, lambda: zero))
            for prediction, latents in ((zero, one), (one, zero), (2 * one, 3 * one))
        )
        if abs(3 * keep + 2 * share - both) > 1e-4 or int(timestep) != timestep:
            name = type(scheduler).__name__
            raise Unsupported(pipeline.name, f"samples with {name}", "a page can sample with DDIM; use --onnx")
        steps.append({
            "timestep": int(timestep),
            "scale": float(scheduler.scale_model_input(one, timestep)),
            "signal": float(noised(scheduler, one, zero, timestep)),
            "noise": float(noised(scheduler, zero, one, timestep)),
            "keep": keep,
            "take": share,
        })  # fmt: skip
    return {"first_noise": float(scheduler.init_noise_sigma), "steps": steps}


def _tables() -> dict[str, dict[str, Any]]:
    """Tables that the page draws by."""
    mesh = hand_mesh()
    return {
        "palette": {**palette.table()._asdict(), "palm_opacity": palette.PALM_OPACITY},
        "skeleton": {"mirror": MIRROR},
        "anatomy": anatomy()._asdict(),
        "mesh": {name: value for name, value in mesh._asdict().items() if name not in ("ids", "foot")},
    }


def _signer(pipeline: SignGenPipeline, name: str, composes: bool) -> dict[str, np.ndarray]:
    """A built-in signer on the model's canvas, and what the networks make of the picture: ``plate``, where the model
    ``composes``, is the backdrop without the signer, uint8 (1, 3, H', W')."""
    source = load_source(name)
    image, person, _, _ = place_source(source, pipeline.frame_size, pipeline.config.pixel_aspect)
    assert person is not None
    pose = draw_canvas(pipeline, person)[0]
    encoded = pipeline.encode_source(image, pose)
    made = {"image": image, "xy": person.xy, "confidence": person.confidence, "latents": encoded.latents.numpy()}
    made["tokens"] = encoded.tokens.float().numpy()
    if encoded.embedding is not None:
        made["embedding"] = encoded.embedding.float().numpy()
    if composes:
        backdrop = backdrop_of(pipeline, image, person)
        made["plate"] = ((backdrop.plate + 1) * 127.5).round().clamp(0, 255).byte().numpy()
        if pipeline.composer.config.arms:
            made["matte"] = backdrop.matte
    return made


# --- packing ------------------------------------------------------------------------------------------------------
class _Packed:
    """Bytes of arrays, each beginning at a multiple of 8."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, values: np.ndarray) -> int:
        """Returns where it begins."""
        at, data = self._size, np.ascontiguousarray(values).tobytes()
        data += bytes(-len(data) % 8)
        self._parts.append(data)
        self._size += len(data)
        return at

    @property
    def data(self) -> bytes:
        return b"".join(self._parts)


def _pack(path: Path, data: bytes) -> int:
    """Writes a file with gzip, which the page unpacks; returns its bytes."""
    return path.write_bytes(gzip.compress(data, 9, mtime=0))


_KINDS = {"f": "float32", "i": "int32", "u": "uint8"}


def _stored(values: Mapping[str, Any], packed: _Packed) -> dict[str, Any]:
    """Where the arrays of a group lie; numbers as they are."""
    index: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            kind = "float64" if value.dtype == np.float64 else _KINDS[value.dtype.kind]
            index[name] = {"dtype": kind, "at": packed.add(value.astype(kind)), "length": value.size}
        else:
            index[name] = value
    return index


def _fill_channels(graph: ModelProto) -> None:
    """Fills the inputs of convolutions with channels of zeros up to a multiple of four, and their weights, too.

    ONNX Runtime 1.30 computes others wrongly with WebGPU, such as the denoiser's first one, of 33 channels.
    """
    from onnx import helper, numpy_helper

    weights = {tensor.name: tensor for tensor in graph.graph.initializer}
    nodes = []
    for node in graph.graph.node:
        tensor = weights.get(node.input[1]) if node.op_type == "Conv" else None
        grouped = any(one.name == "group" and one.i != 1 for one in node.attribute)
        if tensor is not None and not grouped and (more := -tensor.dims[1] % CHANNELS_AT_ONCE):
            kernel = numpy_helper.to_array(tensor)
            filled = np.pad(kernel, [(0, 0), (0, more), (0, 0), (0, 0)])
            tensor.CopyFrom(numpy_helper.from_array(filled, tensor.name))
            pads, padded = f"{node.name}.pads", f"{node.name}.padded"
            sides = np.array([0, 0, 0, 0, 0, more, 0, 0], np.int64)
            graph.graph.initializer.append(numpy_helper.from_array(sides, pads))
            nodes.append(helper.make_node("Pad", [node.input[0], pads], [padded]))
            node.input[0] = padded
        nodes.append(node)
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)


def _without_weights(graph: ModelProto, location: str, packed: _Packed) -> tuple[list[dict[str, Any]], bytes]:
    """Takes the numbers out of a graph, which then says that they lie in a file called ``location``.

    Returns:
        For each tensor where it begins in that file, how many numbers it has, and how and where they are stored; and
        the file as the page makes it again.
    """
    from onnx import TensorProto, numpy_helper

    weights = {node.input[1]: node.op_type for node in graph.graph.node if node.op_type in _WEIGHTS}
    index: list[dict[str, Any]] = []
    made: list[bytes] = []
    offset = 0
    for tensor in graph.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor).copy()
        large = values.size >= LEAST_PACKED
        entry: dict[str, Any] = {"offset": offset, "count": values.size, "stored": "float16" if large else "float32"}
        if large and values.ndim > 1 and tensor.name in weights and not tensor.name.startswith(_EXACT):
            axis = values.ndim - 1 if weights[tensor.name] == "MatMul" else 0
            whole, scales = _eight_bits(values, axis)
            inner = 1 if axis else values.size // len(values)
            entry |= {"stored": "int8", "scales": packed.add(scales), "channels": len(scales), "inner": inner}
            values, again = whole, whole * scales.reshape([-1 if side == axis else 1 for side in range(values.ndim)])
        else:
            again = values.astype(entry["stored"])
        made.append(again.astype(np.float32).tobytes())
        entry["at"] = packed.add(values.astype(entry["stored"]))
        index.append(entry)
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, "offset": offset, "length": 4 * entry["count"]}.items():
            tensor.external_data.add(key=key, value=str(value))
        offset += 4 * entry["count"]
    return index, b"".join(made)


def _proof(graph: ModelProto, location: str, weights: bytes) -> dict[str, list[float]]:
    """Some numbers of each output of a graph, for inputs that the page can make again: it finds out by them whether a
    browser's WebGPU computes what it should.

    Args:
        graph: without its ``weights``, which are those of the file ``location``.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_external_initializers_from_files_in_memory([location], [weights], [len(weights)])
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    given: dict[str, np.ndarray] = {}
    for one in session.get_inputs():
        shape = [side if isinstance(side, int) else TRIED_VIEWS for side in one.shape]
        pattern = 37 * np.arange(int(np.prod(shape)))
        if one.type == "tensor(uint8)":
            given[one.name] = (pattern % 256).astype(np.uint8).reshape(shape)
        elif one.type == "tensor(int64)":
            given[one.name] = np.full(shape, TRIED_TIMESTEP, np.int64)
        else:
            given[one.name] = (pattern % 101 / 101 - 0.5).astype(np.float32).reshape(shape)
    made = {}
    for one, values in zip(session.get_outputs(), session.run(None, given), strict=True):
        made[one.name] = values.ravel()[:: max(values.size // TRIED, 1)].astype(float).round(5).tolist()
    return made


def _eight_bits(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """int8 of the same shape, and the scale (float32) of each channel of an axis; the largest number becomes 127."""
    others = tuple(side for side in range(values.ndim) if side != axis)
    scales = np.maximum(np.abs(values).max(others, keepdims=True), 1e-12) / 127
    return np.rint(values / scales).astype(np.int8), scales.ravel().astype(np.float32)
