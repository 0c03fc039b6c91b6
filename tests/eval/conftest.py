"""Small stand-ins, handed out as fixtures, and one tiny real model with its shards."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from eval.documents import Documents
from jgpt.config import ModelConfig
from jgpt.model.gpt import GPT

SENTENCES = [
    "神は光を見て善しとした",
    "人は海の魚を治めた",
    "王は民に法を与へた",
    "僕は主人の家から出た",
    "彼等は山へ登つて祈つた",
    "女は子を産んで名を付けた",
    "兵士は町まで馬で走つた",
    "父が子に財を分けた",
    "水が地の上に満ちた",
    "鳥は空より地を眺めた",
]


class CharacterTokenizer:
    """A token a character; ``merges`` are texts that become one token wherever they occur."""

    bos_id, eos_id = 1, 2

    def __init__(self, merges=()):
        self.merges = sorted(merges, key=len, reverse=True)
        self._ids: dict[str, int] = {}
        self._texts: dict[int, str] = {}

    vocab_size = 2000

    def encode(self, text):
        ids = []
        while text:
            piece = next((merge for merge in self.merges if text.startswith(merge)), text[0])
            text = text[len(piece) :]
            number = self._ids.setdefault(piece, 20 + len(self._ids))
            self._texts[number] = piece
            ids.append(number)
        return ids

    def encode_batch(self, texts):
        return [self.encode(text) for text in texts]

    def decode(self, ids):
        return "".join(self._texts[number] for number in ids)


class TinyModel(GPT):
    """A GPT with random weights that notes the most tokens of a batch."""

    def __init__(self, vocab_size=2000, context_length=32, architecture="default", **fields):
        shape = {"depth": 2, "width": 16, "heads": 2, "vocab_size": vocab_size, "context_length": context_length}
        super().__init__(ModelConfig(architecture=architecture, **shape | fields))
        self.largest = 0
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for weight in self.parameters():
                weight.normal_(std=0.5, generator=generator)
        self.eval()

    def hidden(self, ids, *others):
        self.largest = max(self.largest, ids.numel())
        return super().hidden(ids, *others)

    @torch.no_grad()
    def log_probability(self, ids, scored):
        """The last ``scored`` ids of one short sequence, the plain way."""
        scores = self(torch.tensor([ids[:-1]]))[0].log_softmax(-1)
        return [float(scores[place - 1, ids[place]]) for place in range(len(ids) - scored, len(ids))]


class FakeStream:
    """A ``TokenStream`` of lists."""

    def __init__(self, documents):
        self.tokens = np.concatenate([np.asarray(ids, np.uint16) for ids in documents])
        lengths = [len(ids) for ids in documents]
        self.document_starts = np.cumsum([0, *lengths[:-1]]).astype(np.int64)

    def __len__(self):
        return len(self.tokens)

    def __getitem__(self, span):
        return self.tokens[span]


@pytest.fixture(scope="session")
def new_tokenizer():
    return CharacterTokenizer


@pytest.fixture(scope="session")
def new_model():
    return TinyModel


@pytest.fixture(scope="session")
def new_documents():
    """Makes ``Documents`` of texts in a character tokenizer's ids."""

    def make(texts, tokenizer=None, sources=()):
        tokenizer = tokenizer or CharacterTokenizer()
        return Documents(FakeStream([[1, *tokenizer.encode(text), 2] for text in texts]), tokenizer, sources)

    return make


@pytest.fixture(scope="session")
def chapters():
    return make_chapters


@pytest.fixture(scope="session")
def write_lines():
    return write_json_lines


def make_chapters(count, seed=0):
    """Documents of verses, one a line, of the sentences above with other subjects."""
    generator = np.random.default_rng(seed)
    subjects = ["神", "王", "民", "僕", "母", "𠮷田", "ｱﾌﾞﾗﾊﾑ", "モーセ"]
    found = []
    for _ in range(count):
        lines = []
        for _ in range(14):
            first, second = generator.choice(len(SENTENCES), 2)
            subject = subjects[int(generator.integers(len(subjects)))]
            lines.append(f"{subject}は知れり {SENTENCES[first]} {SENTENCES[second]}")
        found.append("\n".join(lines))
    return found


@pytest.fixture
def jglue(tmp_path):
    """Own items in JGLUE's layout."""
    root = tmp_path / "data"
    questions = [
        ("空から降る冷たくて白いものは？", ["雪", "雪山", "砂", "石", "油"], 0),
        ("夜に空で光る丸いものは何という？", ["机", "月", "川", "靴", "窓"], 1),
        ("魚が泳ぐところはどこ：山ではない", ["空", "紙", "海", "火", "壁"], 2),
        ("鳥が飛ぶために使うものは？", ["耳", "根", "蓋", "羽", "皿"], 3),
    ]
    rows = [
        {"q_id": number, "question": text} | {f"choice{n}": c for n, c in enumerate(choices)} | {"label": label}
        for number, (text, choices, label) in enumerate(questions)
    ]
    write_json_lines(root / "jglue" / "jcommonsenseqa-v1.3" / "valid-v1.3.json", rows)
    more = [
        row | {"q_id": 100 + number, "question": f"第{number}問：" + row["question"]} for number, row in enumerate(rows)
    ]
    write_json_lines(root / "jglue" / "jcommonsenseqa-v1.3" / "train-v1.3.json", [*more, rows[0]])
    pairs = [
        ("猫が庭で寝ている", "動物が外にいる", "entailment"),
        ("猫が庭で寝ている", "猫が庭を走っている", "contradiction"),
        ("男性が店で本を読む", "男性は先生だ", "neutral"),
        ("子供が犬と遊ぶ", "犬が子供といる", "entailment"),
        ("皿に林檎がある", "林檎は赤い", "neutral"),
        ("電車が駅に止まる", "駅に人が多い", "neutral"),
    ]
    rows = [
        {"sentence_pair_id": str(number), "yjcaptions_id": "0", "sentence1": a, "sentence2": b, "label": label}
        for number, (a, b, label) in enumerate(pairs)
    ]
    write_json_lines(root / "jglue" / "jnli-v1.3" / "valid-v1.3.json", rows)
    asked = [("誰が見た？", "𠮷田"), ("何を見た？", "ベガ"), ("ベガは何か？", "織姫星")]
    context = "星 [SEP] ベガは七夕の織姫星である。𠮷田はベガを見た。"
    qas = [
        {"id": f"q{n}", "question": question, "answers": [{"text": text, "answer_start": context.index(text)}]}
        for n, (question, text) in enumerate(asked)
    ]
    data = {"data": [{"title": "星", "paragraphs": [{"context": context, "qas": qas}]}]}
    write_json_lines(root / "jglue" / "jsquad-v1.3" / "valid-v1.3.json", [data])
    return root


def write_json_lines(file: Path, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """Folders ``shards`` and ``model`` (random weights), as the stages write them."""
    import pyarrow
    import pyarrow.parquet

    from jgpt import write_shards
    from jgpt.model.folder import save_model
    from stage.folder import Made, write_folder
    from stage.manifest import artifact_input
    from tokenizer import train_tokenizer
    from tokenizer.config import TokenizerConfig

    root = tmp_path_factory.mktemp("run")
    texts = make_chapters(30)

    def corpus(folder):
        splits = ["train"] * 20 + ["valid"] * 10
        table = pyarrow.table({"text": texts, "split": splits, "source": ["旧約", "新約", "新約"] * 10})
        pyarrow.parquet.write_table(table, folder / "documents-00000.parquet")
        return Made({"documents": 30, "characters": sum(map(len, texts))}, [{"source": "own", "license": "CC0"}])

    write_folder(root / "corpus", stage="corpus", parameters={}, inputs=[], make=corpus)
    train_tokenizer(
        root / "tokenizer", TokenizerConfig(boundaries="none", vocab_size=420), corpus=root / "corpus", quiet=True
    )
    write_shards(root / "corpus", root / "tokenizer", root / "shards", workers=1, quiet=True)

    def model(folder):
        gpt = GPT(ModelConfig(depth=1, width=32, heads=1, context_length=64, vocab_size=420), seed=1)
        with torch.no_grad():
            gpt.head.weight.normal_(std=0.05, generator=torch.Generator().manual_seed(0))
        save_model(gpt, folder, root / "tokenizer")
        return Made()

    inputs = [artifact_input("shards", root / "shards", "shard")]
    write_folder(root / "model", stage="pretrain", parameters={}, inputs=inputs, make=model)
    return root


@pytest.fixture(scope="session")
def own_task():
    """Writes the declaration of a task of one's own with some entries changed, ... for one left out; its path."""
    return write_own_task


def write_own_task(folder, **changes):
    record = {
        "title": "十干: どれが先か",
        "kind": "choice",
        "source": "https://example.org/",
        "license": "CC0",
        "files": {"valid": "stems.jsonl", "train": "more.jsonl"},
        "fields": ["question"],
        "choices": ["a", "b"],
        "label": "label",
        "prompts": {"cloze": {"version": "1", "item": "問：{question}\n答：「", "closing": "」"}},
        "metrics": ["accuracy"],
        "primary": "accuracy",
    } | changes
    record = {key: value for key, value in record.items() if value is not ...}
    file = folder / "stems.yaml"
    file.write_text(yaml.safe_dump(record, allow_unicode=True), "utf-8")
    return str(file)


@pytest.fixture(scope="session")
def completions_server():
    """The module that serves a model as an endpoint does."""
    file = Path(__file__).with_name("completions_server.py")
    spec = importlib.util.spec_from_file_location("completions_server", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
