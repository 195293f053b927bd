"""Load exports as anybody would, without bhpvas, and print what each answers as a line of JSON.

    python -I scripts/load_export.py sentences.json plain|trust FOLDER…

``sentences.json`` holds a list of texts and one of labels. A folder with a ``model.onnx`` is run by
ONNX Runtime and the tokenizers package alone, any other by transformers: ``trust`` says that the
folder's own modelling file may run, as version 5 of transformers needs it to.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

AT_ONCE = 32


def parts(texts: list[str]) -> Iterator[list[str]]:
    """The sentences, a few at a time."""
    for start in range(0, len(texts), AT_ONCE):
        yield texts[start : start + AT_ONCE]


def by_transformers(folder: str, texts: list[str], trust: bool) -> tuple[np.ndarray, dict]:
    """Logits ``[N, C]``, and how the model was loaded."""
    import torch
    import transformers
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    loaded: Any = AutoModelForSequenceClassification.from_pretrained(
        folder, trust_remote_code=trust, output_loading_info=True
    )
    model, report = loaded
    tokenizer = AutoTokenizer.from_pretrained(folder)
    logits = []
    with torch.no_grad():
        for some in parts(texts):
            inputs = tokenizer(some, padding=True, truncation=True, return_tensors="pt")
            logits.append(model.eval()(**inputs).logits.float().numpy())
    return np.concatenate(logits), {
        "version": transformers.__version__,
        "class": type(model).__name__,
        "dtype": str(model.dtype),
        "parameters": sum(one.numel() for one in model.parameters()),
        "report": {name: sorted(map(str, keys)) for name, keys in report.items() if keys},
        "ours": [name for name in sys.modules if name.split(".")[0] == "bhpvas"],
    }


def by_onnxruntime(folder: str, texts: list[str]) -> tuple[np.ndarray, dict]:
    """Logits ``[N, C]``, and what was loaded that need not be."""
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    tokenizer.enable_padding()
    session = onnxruntime.InferenceSession(f"{folder}/model.onnx")
    columns = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
    logits = []
    for some in parts(texts):
        found = tokenizer.encode_batch(some)
        inputs = {
            one.name: np.array([getattr(row, columns[one.name]) for row in found])
            for one in session.get_inputs()
        }
        logits.append(session.run(["logits"], inputs)[0])
    return np.concatenate(logits), {
        "version": onnxruntime.__version__,
        "ours": [name for name in sys.modules if name in ("bhpvas", "torch", "transformers")],
    }


def main() -> None:
    """Answer for every folder."""
    data, trust, *folders = sys.argv[1:]
    texts, labels = json.loads(Path(data).read_text(encoding="utf-8"))
    for folder in folders:
        if Path(folder, "model.onnx").exists():
            logits, said = by_onnxruntime(folder, texts)
        else:
            logits, said = by_transformers(folder, texts, trust == "trust")
        right = int((logits.argmax(1) == np.array(labels)).sum())
        print(json.dumps({"accuracy": right / len(labels), "logits": logits.tolist(), **said}))


if __name__ == "__main__":
    main()
