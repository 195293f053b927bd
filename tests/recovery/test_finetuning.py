"""Fine-tuning: it learns, removed heads stay removed, and the best state is the one that stays."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from bhpvas.data.dataset import Dataset
from bhpvas.errors import BhpvasError, DataError
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.cost import parameters
from bhpvas.model.engine import predict
from bhpvas.model.pruning import remove_heads, weights_of
from bhpvas.model.weights import load_weights
from bhpvas.progress import Cancelled
from bhpvas.recovery import recover
from bhpvas.recovery.finetuning import Course, TuningSettings, _Training, finetune
from tests.conftest import TEXTS
from tests.tiny import SEPARATE, many_sentences, save_tiny

MASK = HeadMask.parse("L0H1,L0H2,L1H0", 2, 4)
#: A learning rate for weights as large as the tiny model's.
QUICK = TuningSettings(epochs=4, learning_rate=3e-3, batch_size=8, evaluations=4)


def taught(classifier: Classifier, count: int = 160, seed: int = 0) -> Dataset:
    """Random sentences with the labels that the unpruned classifier gives them."""
    data = many_sentences(count, seed)
    return replace(data, labels=predict(classifier, classifier.encode(data)).argmax(1))


@pytest.fixture(scope="module")
def tuned(classifier):
    return finetune(classifier, taught(classifier), MASK, QUICK)


@pytest.mark.parametrize("distillation", [0.0, 0.5, 1.0])
def test_it_learns_what_the_heads_did(classifier, distillation):
    sentences, fresh = taught(classifier), taught(classifier, seed=1)
    settings = replace(QUICK, distillation=distillation)
    found = finetune(classifier, sentences, MASK, settings)
    assert found.best.loss < 0.8 * found.course.start.loss
    before = evaluate(classifier, fresh, MASK)
    after = evaluate(classifier.with_weights(found.weights), fresh, MASK)
    assert after.loss < before.loss
    assert [point.step for point in found.course.points] == [0, 18, 36, 54, 72]
    assert (found.course.steps, found.course.held_out, found.stopped_at) == (72, 20, None)


@pytest.mark.parametrize("removed", [str(MASK), "L0H0,L0H1,L0H2,L0H3,L1H2"])
@pytest.mark.parametrize("family", SEPARATE)
def test_masked_whole_and_physically_pruned_models_agree(tmp_path, family, removed):
    classifier = load_classifier(save_tiny(tmp_path, family))
    mask = HeadMask.parse(removed, 2, 4)
    settings = replace(QUICK, epochs=1, embeddings=True)
    found = finetune(classifier, taught(classifier, 60), mask, settings)
    changed = classifier.with_weights(found.weights)
    encoded = classifier.encode_texts(TEXTS)
    whole = predict(changed, encoded)
    assert np.abs(whole - predict(classifier, encoded, mask)).max() > 1e-2
    np.testing.assert_allclose(predict(changed, encoded, mask), whole, atol=1e-4)
    pruned = remove_heads(changed, mask)
    padded = classifier.tokenizer(list(TEXTS), padding=True, return_tensors="pt")
    with torch.no_grad():
        np.testing.assert_allclose(pruned(**padded).logits.numpy(), whole, atol=1e-4)
    counted = sum(parameter.numel() for parameter in pruned.parameters())
    assert counted == parameters(classifier.geometry, mask)


def test_removed_heads_write_nothing_and_their_rows_stay(classifier, tuned):
    changed, size = classifier.with_weights(tuned.weights), classifier.geometry.head_size
    for head in MASK.removed:
        rows = slice(head.head * size, (head.head + 1) * size)
        own, other = classifier.layers[head.layer], changed.layers[head.layer]
        assert not other.output.weight[:, rows].any()
        for name in ("query", "key", "value"):
            before, after = getattr(own, name), getattr(other, name)
            assert torch.equal(before.weight[rows], after.weight[rows])
            assert not torch.equal(before.weight, after.weight)


def test_only_what_was_trained_is_kept(classifier, tuned):
    embeddings = {name for name, _ in classifier.model.named_parameters() if ".embeddings." in name}
    assert embeddings and not embeddings & set(tuned.weights.tensors)
    also = finetune(
        classifier, taught(classifier, 40), MASK, replace(QUICK, epochs=0.2, embeddings=True)
    )
    assert embeddings & set(also.weights.tensors)


def test_a_model_that_was_not_trained_on_changes_only_the_columns(classifier):
    unchanged = weights_of(classifier, MASK, remove_heads(classifier, MASK))
    outputs = {classifier.name_of(layer.output.weight) for layer in classifier.layers}
    assert set(unchanged.tensors) == outputs


def test_it_starts_from_the_weights_of_the_step(classifier):
    sentences = taught(classifier)
    compensated = classifier.with_weights(recover(classifier, sentences, MASK).weights)
    plain, fitted = (
        finetune(one, sentences, MASK, replace(QUICK, learning_rate=1e-12, epochs=0.1))
        for one in (classifier, compensated)
    )
    assert fitted.course.start.loss < plain.course.start.loss
    encoded = classifier.encode(sentences)
    np.testing.assert_allclose(
        predict(classifier.with_weights(fitted.weights), encoded, MASK),
        predict(compensated, encoded, MASK),
        atol=1e-4,
    )


def test_held_out_sentences_and_their_loss_are_what_they_are_called(classifier, tuned):
    """The best state's loss and accuracy, worked out anew without the trainer."""
    sentences = taught(classifier)
    changed = classifier.with_weights(tuned.weights)
    training = _Training(classifier, sentences, QUICK)
    assert sorted([*training.held_out, *training.learnt]) == list(range(160))
    rows = training.held_out
    encoded = classifier.encode(sentences)
    student, teacher = (
        torch.from_numpy(predict(one, encoded, mask, indices=rows)).double()
        for one, mask in ((changed, MASK), (classifier, None))
    )
    labels = torch.from_numpy(sentences.labels[rows])
    entropy = -student.log_softmax(-1)[range(20), labels].mean()
    soft = (teacher / 2).softmax(-1)
    divergence = (soft * ((teacher / 2).log_softmax(-1) - (student / 2).log_softmax(-1))).sum(1)
    expected = 0.5 * entropy + 0.5 * 4 * divergence.mean()
    assert tuned.best.loss == pytest.approx(float(expected), abs=1e-4)
    assert tuned.best.accuracy == float((student.argmax(-1) == labels).double().mean())


def test_the_best_state_is_kept_and_not_the_last(classifier):
    """A learning rate that ruins everything after a good beginning."""
    found = finetune(
        classifier, taught(classifier), MASK, replace(QUICK, learning_rate=0.08, evaluations=35)
    )
    losses = [point.loss for point in found.course.points[1:]]
    assert found.best.loss == min(losses) < losses[-1]
    again = finetune(
        classifier.with_weights(found.weights),
        taught(classifier),
        MASK,
        replace(QUICK, learning_rate=1e-12, epochs=0.05),
    )
    assert again.course.start.loss == pytest.approx(found.best.loss, abs=1e-4)


def test_cancelling_keeps_the_best_so_far(classifier):
    seen: list[Course] = []

    def stop(done: int, total: int) -> None:
        assert total == 72
        if done == 40:
            raise Cancelled

    found = finetune(classifier, taught(classifier), MASK, QUICK, watch=seen.append, progress=stop)
    assert found.stopped_at == 40
    assert [point.step for point in found.course.points] == [0, 18, 36]
    assert seen[-1] == found.course
    assert found.best.step in (18, 36)
    assert found.record()["stopped_at"] == 40


@pytest.mark.parametrize("at", [0, 5])
def test_cancelled_before_there_is_a_best_it_gives_nothing(classifier, at):
    def stop(done: int, total: int) -> None:
        if done == at:
            raise Cancelled

    with pytest.raises(Cancelled):
        finetune(classifier, taught(classifier), MASK, QUICK, progress=stop)


def test_the_same_seed_gives_the_same_result_and_another_another(classifier, tuned):
    again = finetune(classifier, taught(classifier), MASK, QUICK)
    assert again.weights == tuned.weights
    assert again.course == tuned.course
    other = finetune(classifier, taught(classifier), MASK, replace(QUICK, seed=1))
    assert other.weights != tuned.weights


def test_nothing_is_written_into_the_shared_model(classifier):
    before = {name: one.clone() for name, one in classifier.model.state_dict().items()}
    finetune(classifier, taught(classifier, 40), MASK, replace(QUICK, embeddings=True))
    for name, one in classifier.model.state_dict().items():
        assert torch.equal(one, before[name]), name
    assert not any(one.requires_grad for one in classifier.model.parameters())
    assert not classifier.model.training


def test_the_weights_come_back_from_their_file(classifier, tuned, tmp_path):
    path = tuned.weights.save(tmp_path)
    assert load_weights(path) == tuned.weights
    record = json.loads(json.dumps(tuned.record(), allow_nan=False))
    assert record["calibration"] == {"name": "many", "sentences": 160}
    assert record["learning_rate"] == 3e-3
    assert record["best"]["step"] == tuned.best.step


def test_with_distillation_alone_labels_do_not_matter(classifier):
    logits = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    for share, matters in ((1.0, False), (0.9, True), (0.0, True)):
        training = _Training(classifier, taught(classifier, 40), replace(QUICK, distillation=share))
        inputs = training.batch(np.arange(5))
        turned = inputs | {"labels": 1 - inputs["labels"]}
        assert (training.loss(logits, inputs) != training.loss(logits, turned)) == matters


MISTAKES = {
    "epochs": 0,
    "learning_rate": -1,
    "batch_size": 0,
    "distillation": 1.5,
    "temperature": 0,
    "warmup": 2,
    "weight_decay": -0.1,
    "evaluations": 0,
}


@pytest.mark.parametrize("name", MISTAKES)
def test_settings_that_make_no_sense_get_a_sentence(classifier, dataset, name):
    for value in (MISTAKES[name], float("nan")):
        with pytest.raises(BhpvasError, match=f"^The {name.replace('_', ' ')} of .* choose"):
            finetune(classifier, dataset, MASK, replace(QUICK, **{name: value}))


def test_what_cannot_be_trained_gets_a_sentence(classifier, dataset):
    with pytest.raises(DataError, match=r"at least 16 sentences.* there are 12"):
        finetune(classifier, dataset, MASK)
    with pytest.raises(BhpvasError, match="nothing to recover: remove some first"):
        finetune(classifier, taught(classifier), classifier.full_mask())


def test_copies_are_held_out_together(classifier):
    """The best state is chosen by sentences of which no copy was learnt."""
    data = many_sentences(40).take(np.arange(160) % 40)
    training = _Training(classifier, data, QUICK)
    assert len(training.held_out) == 20
    assert not {*training.held_out % 40} & {*training.learnt % 40}
    with pytest.raises(DataError, match="The 20 sentences to learn from are copies of one"):
        finetune(classifier, data.take(np.zeros(20, int)), MASK)
