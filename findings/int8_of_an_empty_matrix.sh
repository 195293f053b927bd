#!/usr/bin/env bash
# onnxruntime 1.24.1: a graph in which a matrix has no rows, as of a layer whose last neuron was
# pruned, runs: what is multiplied by it is zero, and the rest of the graph answers. The same graph
# after quantize_dynamic runs, too, without an error or a warning, and answers otherwise. Whoever
# quantises a pruned network has to write the constant that an empty layer adds in its place.
#
# Seen: "plain right, int8 far off, no error"
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnxruntime==1.24.1 onnx==1.19.1 numpy==2.3.5
"$folder/venv/bin/python" - "$folder" <<'PYTHON' 
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

folder = Path(sys.argv[1])
rng = np.random.default_rng(0)
weights = {
    "up": rng.normal(size=(8, 0)).astype(np.float32),
    "down": rng.normal(size=(0, 8)).astype(np.float32),
    "bias": rng.normal(size=8).astype(np.float32),
    "last": rng.normal(size=(8, 2)).astype(np.float32),
}
nodes = [
    helper.make_node("MatMul", ["states", "up"], ["inner"]),
    helper.make_node("MatMul", ["inner", "down"], ["outer"]),
    helper.make_node("Add", ["outer", "bias"], ["fed"]),
    helper.make_node("Add", ["fed", "states"], ["left"]),
    helper.make_node("MatMul", ["left", "last"], ["answer"]),
]
graph = helper.make_graph(
    nodes,
    "a layer without neurons",
    [helper.make_tensor_value_info("states", TensorProto.FLOAT, ["n", 8])],
    [helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["n", 2])],
    [numpy_helper.from_array(value, name) for name, value in weights.items()],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
onnx.checker.check_model(model)
onnx.save(model, folder / "plain.onnx")
quantize_dynamic(folder / "plain.onnx", folder / "int8.onnx", weight_type=QuantType.QInt8)
states = rng.normal(size=(3, 8)).astype(np.float32)
expected = (states + weights["bias"]) @ weights["last"]
off = {}
for name in ("plain", "int8"):
    session = onnxruntime.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])
    [answer] = session.run(None, {"states": states})
    off[name] = float(abs(answer - expected).max())
plain, int8 = (off[name] < limit for name, limit in (("plain", 1e-4), ("int8", 1)))
print(f"plain {'right' if plain else 'wrong'}, int8 {'near it' if int8 else 'far off'}, no error")
assert plain and not int8, off
PYTHON
