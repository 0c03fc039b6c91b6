import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import eval.fitting as fitting
from eval.config import EvalConfig
from eval.encoding import encode_example
from eval.examples import Example
from eval.figures import figures, gain
from eval.finetuning import finetune
from eval.grid import FinetuneConfig
from eval.holdout import split_dev
from eval.metrics import measure
from jgpt.model.folder import load_model
from stage.errors import InputError, UsageError
from tokenizer import JapaneseTokenizer

TINY = {"learning_rates": (3e-3,), "epochs": (6,), "dropouts": (0.0,), "rungs": (), "seeds": 1, "batch": 16}
WHO = ["神", "王", "民", "僕", "母", "𠮷田", "ｱﾌﾞﾗﾊﾑ", "モーセ", "兵士", "女"]
DOES = ["光を見た", "海の魚を治めた", "法を与へた", "家から出た", "山へ登つた", "町まで走つた", "空より地を眺めた"]


@pytest.fixture(scope="session")
def tiny(tiny_run):
    torch.set_num_threads(1)
    return load_model(tiny_run / "model", device="cpu"), JapaneseTokenizer(tiny_run / "model")


def classified(count, seed=0):
    """Sentences of two classes: with the one word, or the other."""
    draw = np.random.default_rng(seed)
    examples = []
    for number in range(count):
        label = int(draw.integers(2))
        text = f"{draw.choice(WHO)}は{('昨日', '今日')[label]}{draw.choice(DOES)}{draw.integers(100)}"
        examples.append(Example(str(number), {"sentence": text}, ("過去", "現在"), label))
    return examples


def run(tiny, kind, train, test, metric, done=None, keep=None, **fields):
    model, tokenizer = tiny
    config = FinetuneConfig(**TINY | fields)
    return finetune(
        model, tokenizer, kind, train, test, metric=metric, config=config, device="cpu", dtype="float32", quiet=True,
        done=done, keep=keep,
    )  # fmt: skip


def with_answers(result, pretrained, scratch):
    return replace(
        result,
        pretrained=replace(result.pretrained, predictions=pretrained),
        scratch=replace(result.scratch, predictions=scratch),
    )


def value(metric, examples, predictions):
    return measure(metric, examples, predictions, bootstrap=1, seed=0)["value"]


def test_a_rule_is_learned_from_both_starts_and_the_same_seed_gives_the_same_answers(tiny):
    train, test = classified(160), classified(40, seed=1)
    found = run(tiny, "classification", train, test, "accuracy", scratch=True)
    for fitted in (found.pretrained, found.scratch):
        assert value("accuracy", test, fitted.predictions[0]) > 0.9
    assert found.counts | {"train": 144, "dev": 16, "test": 40} == found.counts
    again = run(tiny, "classification", train, test, "accuracy", scratch=False)
    assert again.pretrained.predictions == found.pretrained.predictions
    assert again.scratch is None


def test_a_choice_is_learned_among_different_numbers_of_choices(tiny):
    draw = np.random.default_rng(0)
    examples = []
    for number in range(200):
        choices = [f"{draw.choice(WHO)}と{word}" for word in ("魚", "光", "法")[: 2 + number % 2]]
        right = int(draw.integers(len(choices)))
        choices[right] = f"{draw.choice(WHO)}が勝つ"
        examples.append(Example(str(number), {"question": f"第{number}問"}, tuple(choices), right))
    found = run(tiny, "choice", examples[:160], examples[160:], "accuracy", scratch=False)
    assert value("accuracy", examples[160:], found.pretrained.predictions[0]) > 0.9


def test_of_a_pair_each_text_stands_alone(tiny):
    draw = np.random.default_rng(0)
    examples = []
    for number in range(120):
        texts = [
            f"{draw.choice(WHO)}は{draw.choice(DOES)}{draw.integers(100)}",
            f"{draw.choice(WHO)}を{draw.integers(100)}た",
        ]
        label = int(draw.integers(2))
        examples.append(Example(str(number), {"a": texts[label], "b": texts[1 - label]}, label=label))
    rows = encode_example(examples[0], "pair", tiny[1], 64)
    assert [set(row.parts) for row in rows.rows] == [{0, 1}, {0, 1}]
    found = run(tiny, "pair", examples[:90], examples[90:], "accuracy", scratch=False)
    assert value("accuracy", examples[90:], found.pretrained.predictions[0]) > 0.9


def test_a_regression_is_learned_and_does_not_depend_on_the_order_of_its_texts(tiny):
    draw = np.random.default_rng(0)
    examples = []
    for number in range(240):
        one, other = (f"{draw.choice(WHO)}は{('光', '魚')[int(draw.integers(2))]}を{draw.integers(100)}" for _ in "ab")
        label = float("光" in one) + float("光" in other)
        examples.append(Example(str(number), {"sentence1": one, "sentence2": other}, label=10 + label))
    train, test = examples[:200], examples[200:]
    found = run(tiny, "regression", train, test, "pearson", scratch=False).pretrained.predictions[0]
    assert value("pearson", test, found) > 0.8
    assert abs(np.mean(found) - 11) < 0.5
    turned = [Example(e.id, dict(reversed(e.fields.items())), label=e.label) for e in test]
    again = run(tiny, "regression", train, turned, "pearson", scratch=False).pretrained.predictions[0]
    assert np.allclose(found, again, atol=1e-4)


def test_a_span_is_found(tiny):
    draw = np.random.default_rng(0)
    examples = []
    for number in range(240):
        name = f"{draw.choice(WHO)}"
        context = f"{draw.integers(100)}{draw.choice(DOES)}。《{name}》は{draw.choice(DOES)}。"
        fields = {"question": f"誰か{number % 7}", "context": context}
        start = context.index(name)
        examples.append(Example(str(number), fields, answers=(name,), answer_start=start))
    found = run(tiny, "span", examples[:200], examples[200:], "exact_match", scratch=False, epochs=(12,))
    assert value("exact_match", examples[200:], found.pretrained.predictions[0]) > 0.9


def test_what_decides_is_neither_trained_on_nor_the_test(tiny, monkeypatch):
    train, test = classified(100), classified(20, seed=1)
    fitted, asked = [], []
    from eval import finetuning

    original, predicted = finetuning.fit, finetuning.predict
    monkeypatch.setattr(
        finetuning,
        "fit",
        lambda model, given, *rest, **more: (fitted.append(given), original(model, given, *rest, **more)),
    )
    monkeypatch.setattr(
        finetuning, "predict", lambda model, given, *rest, **more: (asked.append(given), predicted(model, given, *rest, **more))[1]
    )  # fmt: skip
    fields = {
        "learning_rates": (1e-3, 3e-3),
        "epochs": (1,),
        "rungs": (0.3, 0.6),
        "rung_least": 1,
        "seeds": 2,
        "scratch": True,
    }
    found = run(tiny, "classification", train, test, "mcc", **fields)
    _, dev = split_dev(train, 0.1, 1000)
    taught = {each.example.id for part in fitted for each in part}
    assert not taught & {each.id for each in dev}
    tests = [place for place, part in enumerate(asked) if part[0].example in test]
    # for each start two settings twice on what was kept back, then two seeds on the test
    assert tests == [4, 5, 10, 11]
    assert all([each.example for each in part] == dev for place, part in enumerate(asked) if place not in tests)
    assert [entry["examples"] for entry in found.pretrained.grid] == [27, 27, 54, 54]
    best = max(found.pretrained.grid[2:], key=lambda entry: (entry["score"], -entry["loss"]))
    assert found.pretrained.setting.learning_rate == best["learning_rate"]


def test_a_rung_has_so_many_examples_at_least(tiny):
    fields = {"learning_rates": (1e-3, 3e-3), "epochs": (1,), "rungs": (0.1, 0.5), "rung_least": 60, "seeds": 1}
    found = run(tiny, "classification", classified(100), classified(20, seed=1), "mcc", **fields)
    assert [entry["examples"] for entry in found.pretrained.grid] == [60, 60]


def test_among_settings_that_all_answer_the_most_frequent_class_the_loss_decides(tiny):
    train = [replace(each, label=min(1, place % 12)) for place, each in enumerate(classified(96))]
    fields = {"learning_rates": (1e-5, 1e-3), "epochs": (1,), "rungs": (0.5,), "scratch": False}
    found = run(tiny, "classification", train, train[:24], "mcc", **fields).pretrained
    assert [entry["score"] for entry in found.grid] == [0, 0]
    assert found.grid[1]["loss"] < found.grid[0]["loss"]
    assert found.setting.learning_rate == 1e-3


def test_finished_runs_are_not_run_again(tiny):
    train, test = classified(60), classified(20, seed=1)
    fields = {"learning_rates": (1e-3, 3e-3), "epochs": (1,), "rungs": (0.5,), "seeds": 2, "scratch": True}
    kept = {}
    whole = run(tiny, "classification", train, test, "mcc", keep=kept.__setitem__, **fields)
    assert len(kept) == 2 * (2 + 2)
    stored = json.loads(json.dumps(dict(list(kept.items())[:5])))
    missing = {}
    again = run(tiny, "classification", train, test, "mcc", done=stored, keep=missing.__setitem__, **fields)
    assert stored.keys() | missing.keys() == kept.keys()
    assert not stored.keys() & missing.keys()
    assert (again.pretrained, again.scratch) == (whole.pretrained, whole.scratch)


def test_settings_that_the_limit_of_tokens_makes_equal_are_tried_once(tiny):
    train, test = classified(60), classified(10, seed=1)
    fields = {"epochs": (2, 10), "dropouts": (0.0, 0.1), "rungs": (0.5,), "run_tokens": 1000, "scratch": False}
    found = run(tiny, "classification", train, test, "accuracy", **fields).pretrained
    assert [(entry["epochs"], entry["dropout"]) for entry in found.grid] == [(2, 0.0), (2, 0.1)]
    assert found.steps < 2 * 54 / 16


def test_mistakes_are_told_with_their_mend(tiny):
    train, test = classified(60), classified(20, seed=1)
    with pytest.raises(UsageError, match="training file"):
        run(tiny, "classification", [], test, "mcc")
    with pytest.raises(InputError, match="現在"):
        run(tiny, "classification", [each for each in train if each.label == 0], test, "mcc")
    with pytest.raises(InputError, match="example 5: its label 2"):
        run(tiny, "choice", [Example("5", {"q": "問"}, ("甲", "乙"), 2)], test, "accuracy")
    with pytest.raises(InputError, match="answer_start"):
        run(tiny, "span", [Example("5", {"q": "問", "c": "文"}, answers=("答",))], test, "f1")
    with pytest.raises(InputError, match="dev_share"):
        run(tiny, "classification", train[:4], train[:4], "mcc")
    for wrong in ({"epochs": ()}, {"dropouts": (1.0,)}, {"seeds": 0}, {"learning_rates": (0.0,)}, {"rungs": (0.0,)}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            FinetuneConfig(**wrong)


def test_figures_are_means_over_seeds_with_a_paired_difference(tiny):
    examples = classified(40)
    right = [each.label for each in examples]
    half = [label if place % 2 else 1 - label for place, label in enumerate(right)]
    result = run(tiny, "classification", examples, examples, "mcc", scratch=True)
    result = with_answers(result, [right, half], [half, half])
    own, other = (
        dict.fromkeys(["accuracy", "mcc"], start.predictions) for start in (result.pretrained, result.scratch)
    )
    config = EvalConfig(bootstrap=200)
    found, difference = figures(own, examples, config), gain(own, other, examples, config)
    assert found["accuracy"]["value"] == 0.75
    assert difference["accuracy"]["value"] == 0.25
    assert 0.15 < difference["accuracy"]["low"] < 0.25 < difference["accuracy"]["high"] < 0.35
    alone = [measure("mcc", examples, each, bootstrap=1, seed=0)["value"] for each in (right, half)]
    assert math.isclose(found["mcc"]["value"], np.mean(alone))


def test_an_undefined_correlation_of_one_seed_leaves_the_mean_undefined():
    examples = [Example(str(place), {"a": "文"}, label=float(place)) for place in range(10)]
    constant, good = [1.0] * 10, [float(place) for place in range(10)]
    config = EvalConfig(bootstrap=100)
    own, other = {"spearman": [good, constant]}, {"spearman": [good, good]}
    assert figures(own, examples, config) == gain(own, other, examples, config) == {"spearman": {"value": None}}
    assert figures(other, examples, config)["spearman"]["value"] == pytest.approx(1)


def test_runs_that_diverged_are_no_result(tiny):
    train, test = classified(60), classified(8, seed=1)
    with pytest.raises(InputError, match=r"diverged with rate 1e\+30.*give lower --finetune.learning_rates"):
        run(tiny, "classification", train, test, "accuracy", learning_rates=(1e30,), epochs=(1,))
    found = run(
        tiny, "classification", train, test, "accuracy", learning_rates=(1e30, 3e-3), epochs=(1,), scratch=False
    )
    assert found.pretrained.setting.learning_rate == 3e-3
    assert found.pretrained.grid[0]["score"] is None


def test_weights_that_are_no_numbers_are_not_tuned(tiny, new_model):
    broken = new_model()
    with torch.no_grad():
        next(broken.parameters())[0] = math.nan
    with pytest.raises(InputError, match="weights are not finite"):
        run((broken, tiny[1]), "classification", classified(60), classified(8), "accuracy")


def test_a_batch_that_goes_through_in_parts_teaches_the_same(tiny, monkeypatch):
    examples = [
        Example(
            str(number),
            {"question": f"第{number}問" * (1 + number % 5)},
            ("光", "魚", "法")[: 2 + number % 2],
            number % 2,
        )
        for number in range(60)
    ]
    losses = []
    for most in (fitting._AT_ONCE, 40):
        monkeypatch.setattr(fitting, "_AT_ONCE", most)
        found = {}
        run(tiny, "choice", examples, examples[:9], "accuracy", scratch=False, epochs=(1,), keep=found.__setitem__)
        losses += [unit["loss"] for unit in found.values()]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
    assert len(list(fitting._parts([encode_example(each, "choice", tiny[1], 64) for each in examples]))) > 20


def test_spans_whose_answers_are_cut_off_teach_nothing_and_are_told(tiny):
    text = "光あれと言つた。" * 20 + "法"
    examples = [
        Example(str(n), {"q": "何？", "c": f"{n}{text}"}, answers=("法",), answer_start=len(f"{n}{text}") - 1)
        for n in range(60)
    ]
    with pytest.raises(InputError, match="no answer is among the tokens that stay"):
        run(tiny, "span", examples, examples[:4], "f1", tokens=16)


def test_rows_without_room_for_their_texts_are_refused(tiny):
    texts = {f"f{number}": "光" for number in range(9)}
    examples = [Example(str(number), texts, ("過去", "現在"), number % 2) for number in range(60)]
    with pytest.raises(UsageError, match="rows of 8 tokens have no room for 9 texts"):
        run(tiny, "classification", examples, examples[:4], "accuracy", tokens=8)


def test_units_of_a_run_have_names_of_their_own(tiny):
    names = []
    fields = {"learning_rates": (0.001, 0.0010000001), "rungs": (0.5, 0.509), "rung_least": 1, "run_tokens": 300}
    run(
        tiny,
        "classification",
        classified(60),
        classified(8),
        "accuracy",
        keep=lambda name, _: names.append(name),
        **fields,
    )
    assert len(set(names)) == len(names) == 2 * (2 + 2 + 1)
