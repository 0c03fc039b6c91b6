"""jgpt's scores and those of lm-evaluation-harness, where that is installed, on a few made-up items."""

import json
import sys

import pytest
import torch

from eval.multiple_choice import Item
from jgpt.config import ModelConfig
from jgpt.model.folder import save_model
from jgpt.model.gpt import GPT
from scripts.bench import evaluation
from scripts.bench.evaluation import Bench, disagreements, make_tasks, minimal_pairs, table
from scripts.bench.evaluation_peer import run_lm_eval
from tokenizer import train_tokenizer
from tokenizer.config import TokenizerConfig

QUESTIONS = [
    ("空から降る冷たくて白いものは？", ["雪", "雪山", "砂", "石", "油"]),
    ("夜に空で光る丸いものを何という？", ["机", "月", "川", "靴", "窓"]),
    ("魚を釣るところはどこ：𠮷野の山ではない", ["空", "紙", "海", "火", "ｶﾞﾗｽ"]),
    ("鳥が飛ぶために使うものは？", ["耳", "根", "蓋", "羽", "皿"]),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    root = tmp_path_factory.mktemp("checked")
    texts = [f"質問：{question}\n答え：「{choice}」\n" * 3 for question, choices in QUESTIONS for choice in choices]
    train_tokenizer(root / "tokenizer", TokenizerConfig(vocab_size=360, boundaries="none"), texts=texts, quiet=True)
    gpt = GPT(ModelConfig(depth=2, width=32, heads=2, context_length=256, vocab_size=360, normalization="ja-v1"))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in gpt.parameters():
            weight.normal_(std=0.2, generator=generator)
    save_model(gpt, root / "model", root / "tokenizer")
    return root / "model"


@pytest.fixture
def data(tmp_path):
    rows = [
        {"q_id": number, "question": question, "label": number % 5}
        | {f"choice{place}": choice for place, choice in enumerate(choices)}
        for number, (question, choices) in enumerate(QUESTIONS)
    ]
    pair = {
        "sentence_pair_id": "0",
        "sentence1": "猫が庭で寝ている",
        "sentence2": "動物が外にいる",
        "label": "entailment",
    }
    more = [
        row | {"q_id": 10 + number, "question": f"第{number}問：{row['question']}"} for number, row in enumerate(rows)
    ]
    files = {
        "jglue/jcommonsenseqa-v1.3/valid-v1.3.json": rows,
        "jglue/jcommonsenseqa-v1.3/train-v1.3.json": more,
        "jglue/jnli-v1.3/valid-v1.3.json": [pair],
        "jcola/in_domain_valid-v1.0.json": [{"uid": 1, "label": 1, "sentence": "水を飲む。"}],
    }
    for name, lines in files.items():
        file = tmp_path / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    return tmp_path / "data"


def test_another_draw_of_examples_stands_before_each_question(data):
    tasks = make_tasks(data, "ja-v1", 0)
    for item in tasks["jcommonsenseqa_each"]:
        assert item.context.count("答え：「") == evaluation.SHOTS + 1
    fixed, each = ({item.context[:20] for item in tasks[f"jcommonsenseqa_{kind}"]} for kind in ("fixed", "each"))
    assert len(fixed) == 1 < len(each)


def test_minimal_pairs_exchange_one_particle():
    (item,) = minimal_pairs([Item("1", "本を読む", (), 0), Item("2", "寝る", (), 0)])
    assert item.choices == ("本を読む", "本が読む") and item.context == ""


def test_scores_and_accuracies_are_those_of_lm_eval(model, data, tmp_path, monkeypatch):
    pytest.importorskip("lm_eval")

    def peer(self, kind, model, names, batch_size=16, limit=0):
        files = [self.work / "tasks" / f"{name}.jsonl" for name in names]
        return run_lm_eval(kind, model, files, batch_size, limit)  # a process of its own would only take longer

    monkeypatch.setattr(Bench, "peer", peer)
    monkeypatch.setattr(evaluation, "BATCH_SIZES", (2,))
    record = Bench(model, tmp_path, sys.executable, 1).run(make_tasks(data, "ja-v1", 0), rounds=1)
    assert disagreements(record) == []
    assert record["tasks"]["jcommonsenseqa_fixed"]["items"] == 4
    assert "| another draw for each item |" in table(record).splitlines()[-1]


def test_a_score_that_differs_and_an_accuracy_that_differs_are_named():
    same = {
        "differences": {"plain": 1e-6, "hf": 2e-5},
        "acc": {"jgpt": 0.5, "hf": 0.5},
        "acc_norm": {"jgpt": 0.5, "hf": 0.5},
    }
    tasks = {
        "same": same,
        "far": same | {"differences": {"plain": 0.0, "hf": 2e-4}},
        "other": same | {"acc": {"jgpt": 0.5, "hf": 0.25}},
    }
    assert disagreements({"tasks": tasks}) == ["far", "other"]
