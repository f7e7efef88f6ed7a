from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner

from daemon.cli.main import app
from models.architectures import ARCHITECTURES, build
from models.bundle_file import write_bundle
from models.ensemble_members import Member, members_option
from models.graph import graph, graphs
from models.graph_svg import draw
from models.network_config import NetworkConfig, options
from tests.models.samples import bundle

COUNTS = {"manufacturing": 1_058_824, "dense-3": 5_063, "dense-4": 6_055, "lstm": 252}


def tidegauge(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["models", "show", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_network_is_shown(architecture: str, tmp_path: Path) -> None:
    """Its parameters are counted, those of the reference models exactly; the graph is a whole SVG."""
    code, out, _ = tidegauge(architecture, "--json", "--graph", tmp_path / "out.svg")
    found = json.loads(out)
    assert code == 0
    assert found["parameters"] == COUNTS.get(architecture, found["parameters"]) > 0
    assert sum(layer["parameters"] for layer in found["layers"] if layer["depth"] == 0) == found["parameters"]
    assert ET.parse(tmp_path / "out.svg").getroot().tag.endswith("svg")


def test_layers_say_what_they_do() -> None:
    """The numbers in and out and the ReLU of each layer, as the reference lists them; a module is listed once."""
    kinds = [layer["kind"] for layer in json.loads(tidegauge("dense-3", "--json")[1])["layers"]]
    assert kinds == [
        "ModuleList",
        "Linear 5 → 64, ReLU",
        "Linear 64 → 32, ReLU",
        "Linear 32 → 2",
        "Linear 2 → 32, ReLU",
        "Linear 32 → 64, ReLU",
        "Linear 64 → 5, sigmoid",
    ]
    names = [layer["name"] for layer in json.loads(tidegauge("lstm", "--json")[1])["layers"]]
    assert names == ["slots", "members", "0", "encoder", "decoder"]


def test_a_bundle_s_file_is_shown(tmp_path: Path) -> None:
    """A file is read and its own shapes are shown; in words the sum stands below the table."""
    write_bundle(tmp_path / "a.pt", bundle())
    code, out, _ = tidegauge(tmp_path / "a.pt")
    count = sum(weight.size for weight in bundle().weights.values())
    assert code == 0
    assert f"masked-autoencoder: {count:,} parameters; window 16, width 1, 3 copies" in out


def test_what_is_neither_is_one_line(tmp_path: Path) -> None:
    """A name nobody knows is refused with the names there are, a damaged file with its path."""
    assert tidegauge("gru")[0] == 1
    assert (
        "gru is neither an architecture nor a file; architectures are masked-autoencoder, manu" in tidegauge("gru")[2]
    )
    (tmp_path / "a.pt").write_bytes(b"junk")
    assert "a.pt: not a bundle: neither a safetensors" in tidegauge(tmp_path / "a.pt")[2]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_layer_is_in_the_graph(architecture: str) -> None:
    """Each node comes after those that feed it, all lead to the output, and each layer with weights is there."""
    network = build(architecture, NetworkConfig(window=12, copies=1))
    nodes = graph(network)
    reached = {len(nodes) - 1}
    for i in range(len(nodes) - 1, -1, -1):
        assert all(j < i for j in nodes[i].inputs)
        assert i in reached
        reached.update(nodes[i].inputs)
    weighted = [m for m in network.modules() if any(True for _ in m.parameters(recurse=False))]
    assert sum(node.kind == "layer" for node in nodes) == len(weighted)
    assert nodes[-1].kind == "output"
    assert "x" in {node.label for node in nodes if node.kind == "input"}


def test_self_attention_is_drawn() -> None:
    """Queries, keys and values come from one place, meet in two products with a softmax between, and have a frame."""
    nodes = graph(build("transformer-classifier", NetworkConfig(window=12, copies=1)))
    inside = [i for i, node in enumerate(nodes) if node.module == "encoder.1.attention"]
    labels = [nodes[i].label for i in inside]
    assert labels == [
        *("Linear q", "Linear k", "Linear v"),
        *("÷ √d", "matrix product", "mask", "softmax", "×", "matrix product", "Linear o"),
    ]
    q, k, v, scaled, first = inside[:5]
    assert nodes[q].inputs == nodes[k].inputs == nodes[v].inputs
    assert nodes[scaled].inputs == (q,)
    assert set(nodes[first].inputs) == {scaled, k}
    assert v in nodes[inside[8]].inputs
    drawn = draw([("", nodes)], "a <b>")
    assert ">encoder.1.attention<" in drawn
    assert "a &lt;b&gt;" in drawn


def test_what_a_classifier_computes_of_its_window_is_one_box() -> None:
    """The thirteen columns are many operations on the window and one box, which feeds the embedding."""
    given = options({"inputs": "context", "embedding": "linear"})
    nodes = graph(build("transformer-classifier", NetworkConfig(345, 1, 4, 1, 1800, given)))
    (box,) = [i for i, node in enumerate(nodes) if node.label.startswith("thirteen columns")]
    assert nodes[box].shape == (1, 9, 13)
    assert [nodes[i].label for i in nodes[box].inputs] == ["x", "observed"]


def test_constants_are_named() -> None:
    """The calendar's angles are moved into 0 to 1, and a position's place is added."""
    assert {"+ 1", "÷ 2"} <= {node.label for node in graph(build("dense-3", NetworkConfig(copies=1)))}
    assert "+ positions" in {node.label for node in graph(build("transformer", NetworkConfig(copies=1)))}
    own = {node.label for node in graph(build("masked-autoencoder", NetworkConfig(copies=1)))}
    assert own & {"× visible", "concatenate"} == {"× visible", "concatenate"}


def test_only_what_has_numbers_feeds() -> None:
    """The other variables enter the decoder beside the bottleneck; where there are none, no edge goes there."""
    for width, joined in ((1, 1), (3, 2)):
        nodes = graph(build("masked-autoencoder", NetworkConfig(width=width, copies=1)))
        assert sum(node.label == "concatenate" for node in nodes) == joined
        (decoder,) = [node for node in nodes if node.detail == f"{2 if width == 1 else 5} → 32"]
        assert len(decoder.inputs) == 1


def test_an_ensemble_is_drawn_member_by_member(tmp_path: Path) -> None:
    """Each member's graph under its name and weight, side by side; all outputs meet in one mean."""
    shapes = {"long": NetworkConfig(window=12, copies=1), "short": NetworkConfig(window=8, copies=1)}
    members = [Member(name, "lstm", shape, 0.5) for name, shape in shapes.items()]
    config = NetworkConfig(window=12, copies=1, options=options({"members": members_option(members)}))
    drawn = draw(graphs(build("ensemble", config)), "both")
    root = ET.fromstring(drawn)
    texts = [text.text or "" for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"long, weight 0.5, newest 12 slots", "short, weight 0.5, newest 8 slots"} <= set(texts)
    assert texts.count("LSTM encoder  5 → 2") == 2
    assert texts.count("weighted mean of the scores") == 1
    ends = [path.get("d", "").rpartition("V")[2] for path in root.iter("{http://www.w3.org/2000/svg}path")]
    assert ends.count(ends[-1]) == 2


@pytest.mark.parametrize("architecture", ["dense-3", "dense-4", "manufacturing"])
def test_the_output_s_sigmoid_is_shown(architecture: str) -> None:
    """The reference's last layer is a linear one with a sigmoid, and the bottleneck is linear: so it says."""
    layers = json.loads(tidegauge(architecture, "--json")[1])["layers"]
    kinds = [layer["kind"] for layer in layers if layer["kind"].startswith("Linear")]
    assert [kind.endswith(", sigmoid") for kind in kinds] == [False] * (len(kinds) - 1) + [True]
    assert sum(not kind.endswith(("ReLU", "sigmoid")) for kind in kinds) == 1
