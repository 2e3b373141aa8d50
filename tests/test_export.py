"""Exports: the same numbers as torch, found by the weights' hash, refused where they do not fit."""

from __future__ import annotations

import errno
import json
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tiny_pipeline import DENOISER, make_pipeline, picture, save_pipeline, signing

from signgen.cli import main
from signgen.errors import BadValue, Damaged, Mismatch, NotFound, NotInstalled, RunError, Unsupported
from signgen.exporter import build
from signgen.model import SignGenPipeline
from signgen.model.engine import TorchEngine
from signgen.model.networks.cross_view import CrossViewAttention, ViewMemory
from signgen.model.networks.fusion import letterbox
from signgen.model.openvino import engine, exports
from signgen.model.openvino.engine import OpenVinoEngine, choose_engine
from signgen.model.openvino.exports import COMPILED, FILE, ExportManifest
from signgen.model.openvino.graphs import OPTIONAL, PRESENT, Letterbox, examples, graphs, past_examples
from signgen.rendering import render
from signgen.rendering.source import Source
from signgen.streaming import live
from signgen.streaming.stream import SEEN

needs_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is not installed: signgen[cpu]")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("SIGNGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def pipeline() -> SignGenPipeline:
    return make_pipeline(refined=True, composed=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_pipeline(tmp_path_factory.mktemp("model") / "tiny", refined=True, composed=True)


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "tiny"
    build.export(model, folder)
    return folder


def manifest_of(pipeline: SignGenPipeline, folder: Path, **changed: object) -> Path:
    """A folder with a manifest alone."""
    folder.mkdir(parents=True)
    values = {"weights_sha256": pipeline.weights_sha256(), "model": "tiny", "frame_size": (42, 52),
              "canvas_size": (48, 56), "inputs": {}, "precision": {}, "versions": {}, **changed}  # fmt: skip
    ExportManifest(**values).write(folder)
    return folder


# ------------------------------------------------------------------------------------------------ graphs, in torch
@pytest.mark.parametrize("size", [(216, 264), (56, 48), (32, 32)])
def test_letterboxing_as_matrix_products_is_letterboxing(size):
    images = torch.rand(2, 3, size[1], size[0], generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(Letterbox(*size, 32)(images), letterbox(images, 32), atol=1e-5, rtol=0)


@torch.inference_mode()
def test_the_graphs_compute_what_the_torch_engine_computes(pipeline):
    generator = torch.Generator().manual_seed(0)
    inputs, modules, engine = examples(pipeline, 3), graphs(pipeline), TorchEngine(pipeline)
    poses = torch.randint(0, 256, inputs["conditions"]["poses"].shape, generator=generator, dtype=torch.uint8)
    embedding = inputs["conditions"]["embedding"]
    features, fusion = modules["conditions"](poses, embedding)
    expected = engine.conditions(poses.numpy(), embedding)
    torch.testing.assert_close((features, fusion), expected, atol=1e-4, rtol=1e-4)
    given = {**inputs["denoiser"], "pose_features": features, "fusion": fusion}
    given["noisy"] = torch.randn(given["noisy"].shape, generator=generator)
    rest = {name: value for name, value in given.items() if name not in ("noisy", "timestep")}
    found = modules["denoiser"](*given.values())
    torch.testing.assert_close(found, engine.denoise(given["noisy"], given["timestep"], rest), atol=1e-4, rtol=1e-4)
    frames = modules["decoder"](given["noisy"]).numpy()
    assert np.abs(frames.astype(int) - engine.frames(given["noisy"])).max() <= 1
    crops = torch.randn(3, *inputs["hand_refiner"]["crops"].shape[1:], generator=generator)
    torch.testing.assert_close(modules["hand_refiner"](crops), engine.refine("hand_refiner", crops))


@pytest.mark.parametrize("attention", ["place", "joint"])
@torch.inference_mode()
def test_views_that_fill_a_window_up_change_nothing_for_the_others(attention):
    pipeline, generator = seeing(attention), torch.Generator().manual_seed(1)
    graph, inputs = graphs(pipeline)["denoiser"], examples(pipeline, 5)["denoiser"]
    given = {
        name: value if name in ("timestep", "tokens", PRESENT) else torch.randn(value.shape, generator=generator)
        for name, value in inputs.items()
    }
    alone = {name: value if name in ("timestep", "tokens") else value[:3] for name, value in given.items()}
    expected = graph(*alone.values())  # (3, C, h, w)
    filled = graph(*{**given, PRESENT: torch.tensor([1.0, 1, 1, 0, 0])}.values())[:3]
    torch.testing.assert_close(filled, expected, atol=1e-5, rtol=1e-5)
    assert float((graph(*given.values())[:3] - expected).abs().max()) > 0.01, "views that are there are seen"


@pytest.mark.parametrize("attention", ["place", "joint"])
@torch.inference_mode()
def test_a_graph_is_given_what_earlier_views_showed_and_gives_what_new_ones_show(attention):
    pipeline, generator = seeing(attention), torch.Generator().manual_seed(1)
    graph, inputs = graphs(pipeline)["denoiser"], examples(pipeline, 3)["denoiser"]
    past, memory = past_examples(pipeline, inputs), ViewMemory(1, 4)
    assert past
    given = {
        name: value if name in ("timestep", "tokens", PRESENT) else torch.randn(value.shape, generator=generator)
        for name, value in inputs.items()
    }
    kept = [value[:, :0] for value in past.values()]
    for views in (slice(0, 2), slice(2, 3)):  # a source and a frame, then a frame
        part = {name: value if name in ("timestep", "tokens") else value[views] for name, value in given.items()}
        wanted = dict(list(part.items())[2:-1])
        with memory:
            expected = pipeline.denoiser(
                part["noisy"], part["timestep"], views=len(part["noisy"]), past=memory, **wanted
            )
        alone = graph(*part.values())
        found, *shown = graph(*part.values(), *kept)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        kept = [torch.cat([before, new], 1) for before, new in zip(kept, shown, strict=True)]
    assert float((found - alone).abs().max()) > 0.01, "what was shown is seen"


def seeing(attention: str) -> SignGenPipeline:
    """A pipeline whose views see each other; a new layer changes nothing."""
    pipeline, generator = (
        make_pipeline(cross_view={**DENOISER["cross_view"], "attention": attention}),
        torch.Generator(),
    )
    for module in pipeline.denoiser.modules():
        if isinstance(module, CrossViewAttention):
            torch.nn.init.normal_(module.proj_out.weight, std=4.0, generator=generator.manual_seed(1))
    return pipeline


def test_models_without_fusion_or_known_views_have_no_such_inputs():
    bare = make_pipeline(fusion_dim=None, cross_view=None, image_level=False)
    inputs = examples(bare, 2)
    assert list(inputs["conditions"]) == ["poses"]
    assert list(inputs["denoiser"]) == ["noisy", "timestep", "pose_features", "tokens"]
    assert graphs(bare)["denoiser"](*inputs["denoiser"].values()).shape == (2, 16, 7, 6)


# ------------------------------------------------------------------------------------- which export, which engine
def test_a_manifest_reads_as_it_was_written(pipeline, tmp_path):
    folder = manifest_of(pipeline, tmp_path / "a", precision={"decoder": "int8"})
    read = ExportManifest.read(folder)
    assert (read.weights_sha256, read.frame_size) == (pipeline.weights_sha256(), (42, 52))
    assert read.precision == {"decoder": "int8"}


@pytest.mark.parametrize(
    ("content", "kind"),
    [("", Damaged), ("[]", Damaged), ("{}", Damaged), ('{"kind": "other", "format": 1}', Damaged),
     ('{"kind": "signgen export"}', Unsupported)],
)  # fmt: skip
def test_what_is_no_manifest_is_refused(tmp_path, content, kind):
    (tmp_path / FILE).write_text(content)
    with pytest.raises(kind) as error:
        ExportManifest.read(tmp_path)
    assert error.value.subject == str(tmp_path)


def test_an_export_is_found_beside_the_model_and_in_the_cache_by_its_hash(pipeline, tmp_path):
    digest = pipeline.weights_sha256()
    assert exports.find_export(digest, tmp_path) is None
    cached = manifest_of(pipeline, exports.default_place(digest))
    assert exports.find_export(digest, tmp_path) == cached
    beside = manifest_of(pipeline, tmp_path / exports.BESIDE)
    assert exports.find_export(digest, tmp_path) == beside
    assert exports.find_export("0" * 64, tmp_path) is None


def test_an_export_of_other_weights_is_passed_over(pipeline, tmp_path):
    manifest_of(pipeline, tmp_path / exports.BESIDE, weights_sha256="0" * 64)
    assert exports.find_export(pipeline.weights_sha256(), tmp_path) is None


def test_without_an_export_or_without_openvino_torch_computes(pipeline, monkeypatch):
    assert choose_engine(pipeline).name == "torch"
    monkeypatch.setattr(engine, "has_openvino", lambda: False)
    manifest_of(pipeline, exports.default_place(pipeline.weights_sha256()))
    assert choose_engine(pipeline).name == "torch"


@pytest.mark.parametrize(
    ("arguments", "kind", "subject"),
    [
        ({"backend": "cuda"}, BadValue, "--backend"),
        ({"backend": "openvino", "compiled": True}, Mismatch, "--compile"),
        ({"backend": "torch", "export": Path("x")}, Mismatch, "--export"),
        ({"export": Path("x"), "compiled": True}, Mismatch, "--compile"),
    ],
)
def test_what_does_not_go_together_is_refused(pipeline, arguments, kind, subject):
    with pytest.raises(kind) as error:
        choose_engine(pipeline, **arguments)
    assert error.value.subject == subject


def test_openvino_that_was_asked_for_and_is_missing_names_the_extra(pipeline, monkeypatch):
    monkeypatch.setattr(engine, "has_openvino", lambda: False)
    with pytest.raises(NotInstalled) as error:
        choose_engine(pipeline, "openvino")
    assert error.value.subject == "openvino"


def test_openvino_without_an_export_says_how_to_make_one(pipeline, monkeypatch):
    monkeypatch.setattr(engine, "has_openvino", lambda: True)
    with pytest.raises(NotFound, match="signgen export"):
        choose_engine(pipeline, "openvino")


# --------------------------------------------------------------------------------------------------- the command
def test_the_command_without_openvino_names_the_extra(monkeypatch):
    monkeypatch.setattr(build, "has_openvino", lambda: False)
    result = CliRunner().invoke(main, ["export", "mini"])
    assert result.exit_code == 2
    assert 'pip install "signgen[cpu]"' in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("kind", ["file", "full"])
def test_a_place_that_holds_other_things_is_refused(model, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(build, "has_openvino", lambda: True)
    place = tmp_path / "place"
    if kind == "file":
        place.write_text("mine")
    else:
        place.mkdir()
        (place / "thesis.txt").write_text("mine")
    result = CliRunner().invoke(main, ["export", str(model), "-o", str(place)])
    assert result.exit_code == 2, result.stderr
    assert (place if kind == "file" else place / "thesis.txt").read_text() == "mine"


def test_an_earlier_export_survives_one_that_cannot_take_its_place(pipeline, model, tmp_path, monkeypatch):
    place = manifest_of(pipeline, tmp_path / "place")
    before, rename = (place / FILE).read_text(), os.replace

    def refuse(source: Path, target: Path) -> None:
        if Path(target) == place and Path(source).name == place.name:
            raise OSError(errno.EACCES, "made up")
        rename(source, target)

    def write(pipeline: SignGenPipeline, folder: Path, *rest: object) -> None:
        (folder / FILE).write_text("new")

    monkeypatch.setattr(build, "has_openvino", lambda: True)
    monkeypatch.setattr(build, "export_pipeline", write)
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(RunError) as error:
        build.export(model, place)
    assert error.value.subject == str(place)
    assert (place / FILE).read_text() == before
    assert list(tmp_path.iterdir()) == [place]


# --------------------------------------------------------------------------------------------------- with OpenVINO
@needs_openvino
@pytest.mark.parametrize("guidance", [(1.0, 1.0), (2.0, 3.0)])
def test_frames_are_those_of_torch_in_windows_of_any_length(model, exported, guidance):
    loaded = SignGenPipeline.from_pretrained(model, device="cpu", dtype="float32")
    source = loaded.encode_source(picture())
    rng = np.random.default_rng(3)
    for views in (1, 3, 10):  # the last is longer than the model's own windows
        poses = rng.integers(0, 255, (views, 56, 48, 3), dtype=np.uint8)
        frames = {}
        for name in ("torch", "openvino"):
            loaded.engine = choose_engine(loaded, name, exported if name == "openvino" else None)
            output = loaded(source, poses, range(views), num_inference_steps=2, guidance_scale=guidance)
            frames[name] = output.frames.astype(int)
        difference = np.abs(frames["torch"] - frames["openvino"])
        assert difference.mean() < 0.2
        assert np.ptp(frames["torch"]) > 20


@needs_openvino
def test_views_that_do_not_see_each_other_may_be_more_than_a_usual_window(tmp_path):
    folder = save_pipeline(tmp_path / "model", cross_view=None)
    build.export(folder, tmp_path / "export")
    loaded = SignGenPipeline.from_pretrained(folder, device="cpu", dtype="float32")
    views = loaded.config.window + 3
    poses = np.random.default_rng(0).integers(0, 255, (views, 56, 48, 3), dtype=np.uint8)
    made = []
    for name in ("torch", "openvino"):
        loaded.engine = choose_engine(loaded, name, tmp_path / "export" if name == "openvino" else None)
        made.append(loaded(loaded.encode_source(picture()), poses, range(views)).frames.astype(int))
    assert np.abs(made[0] - made[1]).mean() < 0.2


@needs_openvino
@pytest.mark.parametrize("guidance", [None, (2.0, 3.0)])
def test_frames_that_come_one_by_one_are_those_of_torch(tmp_path, guidance):
    folder = save_pipeline(tmp_path / "model", refined=True, composed=True)
    build.export(folder, tmp_path / "export")
    pictures = picture(), picture()[:, ::-1].copy()
    people = [Source(image, signing(1), "anna", "signer") for image in pictures]
    clip, made = signing(SEEN + 3), {}
    for backend in ("torch", "openvino"):
        export = tmp_path / "export" if backend == "openvino" else None
        options = {"backend": backend, "export": export, "guidance": guidance}
        stream = live(people, str(folder), frame_size=clip.size, device="cpu", **options)
        made[backend] = np.stack([frame.image for frame in stream.feed(clip)]).astype(int)
    assert np.abs(made["torch"] - made["openvino"]).mean() < 0.2
    assert np.ptp(made["torch"]) > 20


@needs_openvino
def test_nothing_is_reported_over_the_network(exported):
    from openvino.tools.ovc import convert_impl

    assert convert_impl.tm.__name__ == "openvino.tools.ovc.telemetry_stub"


@needs_openvino
def test_crops_are_refined_as_torch_does_however_many_there_are(model, exported):
    pipeline = SignGenPipeline.from_pretrained(model, device="cpu", dtype="float32")
    crops = torch.randn(11, 16, 24, 24, generator=torch.Generator().manual_seed(0))
    for name in pipeline.refiners:
        expected = TorchEngine(pipeline).refine(name, crops)
        assert (expected - crops[:, :3]).abs().max() > 0.1
        found = OpenVinoEngine(pipeline, exported).refine(name, crops)
        torch.testing.assert_close(found, expected, atol=5e-3, rtol=0)


@needs_openvino
def test_frames_are_composed_as_torch_does_however_many_there_are(model, exported):
    pipeline, rng = SignGenPipeline.from_pretrained(model, dtype="float32"), np.random.default_rng(0)
    (width, height), (across, down) = pipeline.frame_size, pipeline.canvas_size
    backdrop = pipeline.encode_backdrop(rng.integers(0, 256, (height, width, 3)).astype(np.uint8))
    for count in (1, 6):
        shapes = (height, width, 3), (down // 2, across // 2, 4), (down, across, 3)
        frames, body, poses = (rng.integers(0, 256, (count, *shape)).astype(np.uint8) for shape in shapes)
        expected = TorchEngine(pipeline).compose(frames, backdrop.plate, body, poses)
        found = OpenVinoEngine(pipeline, exported).compose(frames, backdrop.plate, body, poses)
        for one, two in zip(expected, found, strict=True):
            assert one.shape == two.shape
            assert np.abs(one.astype(int) - two).max() <= 2


@needs_openvino
def test_a_render_finds_and_names_its_export(model, cache, tmp_path):
    result = CliRunner().invoke(main, ["export", str(model), "--json"])
    assert result.exit_code == 0, result.stderr
    printed = json.loads(result.stdout)
    assert Path(printed["output"]).is_relative_to(cache)
    source = Source(picture(), signing(1), "anna", "signer")
    engines = {}
    for backend in ("auto", "torch"):
        rendered = render(signing(3), source, model, tmp_path / f"{backend}.mp4", backend=backend, device="cpu")
        engines[backend] = json.loads(rendered.manifest.read_text())["configuration"]["engine"]
    assert engines["auto"].startswith("openvino ")
    assert engines["torch"] == "torch"


@needs_openvino
def test_an_export_of_other_weights_is_refused(exported):
    other = make_pipeline()
    other.denoiser.unet.conv_out.bias.add_(1e-3)
    with pytest.raises(Mismatch):
        choose_engine(other, "openvino", exported)


@needs_openvino
def test_an_export_replaces_an_earlier_one_and_what_was_compiled_of_it(model, exported):
    before = (exported / FILE).stat().st_mtime_ns
    OpenVinoEngine(SignGenPipeline.from_pretrained(model, device="cpu"), exported)
    assert {path.name for path in exported.iterdir()} == build.FILES
    build.export(model, exported)
    assert (exported / FILE).stat().st_mtime_ns > before
    assert {path.name for path in exported.iterdir()} == build.FILES - {COMPILED}
    assert not [path for path in exported.parent.iterdir() if path.name.startswith(".signgen-")]


@needs_openvino
@pytest.mark.skipif(find_spec("nncf") is None, reason="NNCF is not installed: signgen[cpu]")
def test_eight_bit_networks_are_close_to_the_full_ones(model, exported, tmp_path):
    build.export(model, tmp_path / "int8", int8=True)
    precision = ExportManifest.read(tmp_path / "int8").precision
    assert {name for name, kind in precision.items() if kind == "int8"} == {"conditions", "denoiser", "decoder"}
    assert {name for name, kind in precision.items() if kind == "float16"} == set(OPTIONAL)
    loaded = SignGenPipeline.from_pretrained(model, device="cpu", dtype="float32")
    source = loaded.encode_source(picture())
    frames = []
    for folder in (exported, tmp_path / "int8"):
        loaded.engine = choose_engine(loaded, "openvino", folder)
        frames.append(loaded(source, np.zeros((3, 56, 48, 3), np.uint8), range(3)).frames.astype(int))
    assert 0 < np.abs(frames[0] - frames[1]).mean() < 6
    assert "denoiser int8" in loaded.engine.name


@needs_openvino
def test_what_was_compiled_may_be_damaged_or_not_writable(model, exported, tmp_path, monkeypatch):
    loaded = SignGenPipeline.from_pretrained(model, device="cpu", dtype="float32")
    source, poses = loaded.encode_source(picture()), np.zeros((3, 56, 48, 3), np.uint8)

    def frames() -> np.ndarray:
        loaded.engine = OpenVinoEngine(loaded, exported)
        return loaded(source, poses, range(3)).frames

    before = frames()
    blobs = sorted((exported / COMPILED).iterdir())
    assert len(blobs) >= 3
    for blob, content in zip(blobs, (b"", b"no network", blobs[2].read_bytes()[:2000]), strict=False):
        blob.chmod(0o600)
        blob.write_bytes(content)
    assert (frames() == before).all()
    monkeypatch.setattr(engine.os, "access", lambda *_: False)
    shutil.rmtree(exported / COMPILED)
    assert (frames() == before).all()
    assert not (exported / COMPILED).exists()
