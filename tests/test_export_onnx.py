"""Plain ONNX graphs: standard operators, open numbers of views, the numbers of torch; what is wrong is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tiny_pipeline import make_pipeline, save_pipeline

from signgen.cli import main
from signgen.errors import NotInstalled, NotWritable, RunError
from signgen.exporter import onnx_graphs
from signgen.model import SignGenPipeline
from signgen.model.openvino.graphs import examples, graphs

onnx = pytest.importorskip("onnx", reason="onnx is not installed: signgen[onnx]")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: signgen[onnx]")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_pipeline(tmp_path_factory.mktemp("model") / "tiny", refined=True, composed=True)


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "tiny"
    answer = CliRunner().invoke(main, ["export", str(model), "--onnx", "-o", str(folder), "--json"])
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["output"] == str(folder)
    return folder


def test_the_folder_says_what_is_in_it(exported, model):
    content = json.loads((exported / onnx_graphs.FILE).read_text())
    assert content["weights_sha256"] == SignGenPipeline.from_pretrained(model, device="cpu").weights_sha256()
    assert {path.stem for path in exported.glob("*.onnx")} == set(content["graphs"]) == set(content["difference"])
    assert content["graphs"]["denoiser"]["inputs"]["noisy"][0] == -1
    assert content["graphs"]["decoder"]["outputs"] == {"frames": [-1, 52, 42, 3]}
    assert max(content["difference"].values()) <= onnx_graphs.TOLERANCE


def test_the_graphs_have_standard_operators_only(exported):
    for path in exported.glob("*.onnx"):
        graph = onnx.load(path)
        onnx.checker.check_model(graph, full_check=True)
        assert [(one.domain, one.version) for one in graph.opset_import] == [("", onnx_graphs.OPSET)]


@torch.inference_mode()
def test_onnx_runtime_computes_what_torch_does_for_other_numbers_of_views_and_tokens(exported, model):
    pipeline, generator = SignGenPipeline.from_pretrained(model, device="cpu", dtype="float32"), torch.Generator()
    inputs, module = examples(pipeline, 5)["denoiser"], graphs(pipeline)["denoiser"]
    given = {
        name: value if name in ("timestep", "present") else torch.randn(value.shape, generator=generator.manual_seed(3))
        for name, value in inputs.items()
    }
    given["tokens"] = torch.cat([given["tokens"], given["tokens"] / 2], 1)
    session = onnxruntime.InferenceSession(str(exported / "denoiser.onnx"), providers=["CPUExecutionProvider"])
    found = session.run(None, {key: value.numpy() for key, value in given.items()})[0]
    np.testing.assert_allclose(found, module(*given.values()).numpy(), atol=1e-4)


def test_a_graph_that_gives_other_numbers_is_refused(model, tmp_path, monkeypatch):
    original = onnx_graphs._convert

    def other_weights(name, module, inputs, file):
        shapes = original(name, module, inputs, file)
        graph = onnx.load(file)
        for tensor in graph.graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) == 4:
                tensor.raw_data = (1.1 * np.frombuffer(tensor.raw_data, np.float32)).tobytes()
        onnx.save(graph, file)
        return shapes

    monkeypatch.setattr(onnx_graphs, "_convert", other_weights)
    with pytest.raises(RunError) as raised:
        onnx_graphs.export_onnx(model, tmp_path / "out")
    assert raised.value.subject == "conditions"
    assert not (tmp_path / "out").exists()


def test_other_files_stay_and_a_missing_package_is_named(model, tmp_path, monkeypatch):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(NotWritable):
        onnx_graphs.export_onnx(model, tmp_path)
    monkeypatch.setattr(onnx_graphs, "find_spec", lambda name: None)
    with pytest.raises(NotInstalled) as raised:
        onnx_graphs.export_onnx(model, tmp_path / "out")
    assert raised.value.subject == "onnx"


def test_eight_bits_are_for_openvino():
    answer = CliRunner().invoke(main, ["export", "mini", "--onnx", "--int8"])
    assert (answer.exit_code, answer.output.splitlines()[-1][:15]) == (2, "error: --int8: ")


def test_models_without_fusion_or_known_views_have_graphs_too(tmp_path):
    bare = make_pipeline(fusion_dim=None, cross_view=None, image_level=False)
    shapes, difference = onnx_graphs.write_graphs(bare, tmp_path)
    assert list(shapes["conditions"]["inputs"]) == ["poses"]
    assert max(difference.values()) <= onnx_graphs.TOLERANCE
