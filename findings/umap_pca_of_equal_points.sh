#!/usr/bin/env bash
# umap-learn 0.5.12 with numpy 2.4: with init="pca" the map of points that are all equal, as the
# states are that a model gives to sentences it tells nothing about, has no number in it: every
# coordinate is NaN, with a warning and without an error. With init="spectral" or "random" there are
# coordinates. PCA of equal points has no spread, and is divided by it.
#
# Seen: "rows without a number: spectral 0, random 0, pca 40"
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet umap-learn==0.5.12 numpy==2.4.6 numba==0.68.1 scikit-learn==1.9.1
cd "$folder"
venv/bin/python - <<'PYTHON'
import warnings

import numpy as np
import umap

warnings.simplefilter("ignore")
points, lost = np.ones((40, 5), dtype=np.float32), {}
for init in ("spectral", "random", "pca"):
    drawn = umap.UMAP(init=init, n_neighbors=5, random_state=0).fit_transform(points)
    lost[init] = int(np.isnan(drawn).any(axis=1).sum())
print("rows without a number:", ", ".join(f"{init} {rows}" for init, rows in lost.items()))
assert lost == {"spectral": 0, "random": 0, "pca": 40}, lost
PYTHON
