import json
from pathlib import Path

import pandas
import pytest

import corpora.overlap
from corpora import build_corpus
from corpora.config import CorpusConfig, SourceConfig
from corpora.decontamination import decontaminate
from corpora.documents import iterate_texts
from corpora.overlap import EvaluationTexts
from corpora.strings import read_strings
from scripts.main import run
from stage.errors import ArtifactError, InputError, UsageError
from stage.manifest import read_manifest

QUESTION = "江戸時代の終わりに京都の町で最も大きな火事が起きたのは何年のことでしたか。"
LEAK = (
    "前置きの文がある。江戸時代の終わりに、京都の町で\n最も大きな火事が起きたのは何年のことでしたか。続きの文もある。"
)
HALF = "江戸時代の終わりに京都の町で行われた祭りの話であり、別のことを述べている。"


def write_records(path: Path, records: list[object]) -> str:
    path.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in records), encoding="utf-8")
    return str(path)


def corpus_of(folder: Path, texts: list[str], normalization: str = "ja-v1") -> Path:
    source = write_records(folder / "source.jsonl", [{"text": text, "title": "題"} for text in texts])
    config = CorpusConfig([SourceConfig(source, normalization=normalization, rules="none")])
    build_corpus(config, folder / "corpus", quiet=True, workers=1)
    return folder / "corpus"


def others(count: int = 60) -> list[str]:
    return [
        f"これは{number}番目の文書であり、猫と犬と鳥とが山の向こうの村で暮らす話が続く。" for number in range(count)
    ]


def test_a_document_that_holds_an_evaluation_text_goes_to_rejected_with_what_it_shares(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, [*others(), LEAK, HALF])
    evaluation = write_records(tmp_path / "eval.jsonl", [{"q": "短い問い"}, {"deep": [{"question": QUESTION}]}])
    manifest = decontaminate(corpus, [evaluation], tmp_path / "clean", quiet=True)
    kept = set(iterate_texts(tmp_path / "clean"))
    assert kept == {*others(), HALF}
    rejected = pandas.read_parquet(tmp_path / "clean" / "rejected")
    assert (list(rejected.reason), list(rejected.measure)) == (["contaminated"], [36.0])
    assert json.loads(rejected.meta[0]) == {"title": "題", "contaminated_by": f"{evaluation}:2: {QUESTION}"}
    report = manifest.counts["contamination"]
    assert (report["documents"], report["contaminated"], report["too_short_to_look_for"]) == (62, 1, 1)
    assert report["files"] == [{"path": evaluation, "contaminated": 1}]
    assert report["texts"][0]["text"].startswith("2: 江戸時代")
    before = read_manifest(corpus)
    assert manifest.licenses == before.licenses
    assert manifest.parameters["normalization"] == before.parameters["normalization"]
    assert manifest.counts["documents"] == 61 and manifest.counts["rejected"] == {"contaminated": 1}
    assert [entry.role for entry in manifest.inputs] == ["corpus", "evaluation"]


def test_marking_keeps_all_documents_and_says_the_length(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, [*others(), LEAK])
    evaluation = write_records(tmp_path / "eval.jsonl", [{"q": QUESTION}])
    for _ in range(2):  # marked documents can be marked again
        decontaminate(corpus, [evaluation], tmp_path / f"{corpus.name}-marked", mark=True, quiet=True)
        corpus = tmp_path / f"{corpus.name}-marked"
        table = pandas.concat(map(pandas.read_parquet, sorted(corpus.glob("*.parquet"))))
        lengths = dict(zip(table.text, table.contaminated, strict=True))
        assert lengths == dict.fromkeys(others(), 0) | {LEAK: 36}
    assert not (corpus / "rejected").exists()


@pytest.mark.parametrize("normalization", ["ja-v1", "none"])
def test_width_case_and_punctuation_hide_no_leak(tmp_path: Path, normalization: str) -> None:
    wide = "ＡＰＩのｶﾞｲﾄﾞ：サーバーは、１２時間ごとに＜設定＞を読み直して、ログに書き出す！"
    plain = "apiのガイド サーバーは12時間ごとに設定を読み直してログに書き出す"
    corpus = corpus_of(tmp_path, [*others(), wide], normalization)
    (tmp_path / "eval.txt").write_text(f"前の段落\n\n{plain}\n", encoding="utf-8")
    decontaminate(corpus, [str(tmp_path / "eval.txt")], tmp_path / "clean", quiet=True)
    assert set(iterate_texts(tmp_path / "clean")) == set(others())


def test_a_run_crosses_neither_texts_nor_documents(tmp_path: Path) -> None:
    first, second = QUESTION[:18], QUESTION[18:-1]
    whole = EvaluationTexts([write_records(tmp_path / "whole.jsonl", [{"q": QUESTION}])], ngram=20)
    parted = EvaluationTexts([write_records(tmp_path / "parted.jsonl", [{"q": first, "r": second}])], ngram=20)
    assert whole.look_in([first, second]) == [None, None]
    assert parted.look_in([QUESTION, first + "\ufffe" + second]) == [None, None]
    assert [each and each.length for each in whole.look_in(["", QUESTION, HALF])] == [None, 36, None]


def test_of_shorter_texts_whole_sentences_count_and_names_do_not(tmp_path: Path) -> None:
    short, alike, name = (
        "赤い車は何と呼ばれていますか?",
        "赤い車は何と呼ばれていますかね。",
        "連合国軍最高司令官総司令部",
    )
    path = write_records(tmp_path / "eval.jsonl", [{"q": alike, "a": name}, {"q": short, "b": "猫は鳴く。"}])
    evaluation = EvaluationTexts([path])
    assert evaluation.too_short == 2
    found = evaluation.look_in([f"{name}の話。猫は鳴く。", short[:9], "問い：赤い車は、何と呼ばれていますか！", ""])
    assert found == [None, None, (14, path, f"2: {short}"), None]
    assert evaluation.look_in([alike]) == [(15, path, f"1: {alike}")]


def test_equal_hashes_of_different_texts_remove_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = corpora.overlap._numbers
    monkeypatch.setattr("corpora.overlap._numbers", lambda size: tuple(each * 0 for each in numbers(size)))
    evaluation = EvaluationTexts([write_records(tmp_path / "eval.jsonl", [{"q": QUESTION}])])
    assert evaluation.look_in([others(1)[0] * 2]) == [None]
    first = QUESTION[:24]
    assert [each and each.length for each in evaluation.look_in([first, "あ" + first])] == [24, 24]


def test_a_run_is_found_wherever_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a plain search, with chunks of hashes that end within runs."""
    monkeypatch.setattr("corpora.overlap._CHUNK", 16)
    corpora.overlap._numbers.cache_clear()
    evaluation = EvaluationTexts([write_records(tmp_path / "eval.jsonl", [{"q": QUESTION}, {"q": HALF}])], ngram=9)
    letters = QUESTION.replace("。", "")
    texts = ["𠮷野" * shift + letters[shift % 7 : shift % 7 + 12 + shift % 5] + "犬" * shift for shift in range(40)]
    found = evaluation.look_in(texts)
    assert [each.length for each in found if each] == [12 + shift % 5 for shift in range(40)]
    corpora.overlap._numbers.cache_clear()


def test_rows_of_digits_and_links_are_not_looked_for(tmp_path: Path) -> None:
    dull, link = "0101" * 20, "https://example.com/a/very/long/path/of/an/image/12345.jpg"
    evaluation = EvaluationTexts([write_records(tmp_path / "eval.jsonl", [{"q": dull, "url": link}])])
    assert evaluation.look_in([dull, f"画像は{link}にある。"]) == [None, None]


def test_every_string_of_a_file_counts_in_any_format(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('問い,答え\n"一つ目、\n続き",はい\n', encoding="utf-8")
    (tmp_path / "a.tsv").write_text("問い\t0\n", encoding="shift_jis")
    (tmp_path / "list.json").write_text('[{"q": "一"}, {"q": ["二", 3, null]}]', encoding="utf-8")
    (tmp_path / "whole.json").write_text('{"data": [{"q": "一"}, {"q": "二"}]}', encoding="utf-8-sig")
    (tmp_path / "a.txt").write_text("一行\n二行\n\n次\n", encoding="utf-8")
    pandas.DataFrame({"q": ["一", "二"], "n": [1, 2], "deep": [[{"x": "三"}], []]}).to_parquet(tmp_path / "a.parquet")
    read = {name.name: list(read_strings(str(name))) for name in tmp_path.iterdir()}
    assert read["a.csv"] == [(1, "問い"), (1, "答え"), (2, "一つ目、\n続き"), (2, "はい")]
    assert read["a.tsv"] == [(1, "問い"), (1, "0")]
    assert read["list.json"] == read["whole.json"] == [(1, "一"), (2, "二")]
    assert read["a.txt"] == [(1, "一行\n二行"), (2, "次")]
    assert read["a.parquet"] == [(1, "一"), (1, "三"), (2, "二")]


@pytest.mark.parametrize(
    "name, content", [("a.json", "{broken"), ("a.parquet", "PAR1"), ("a.docx", "x"), ("b.csv", "a\0b")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=name):
        list(read_strings(str(tmp_path / name)))


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, [f"{number}{LEAK}" for number in range(60)])
    evaluation = write_records(tmp_path / "eval.jsonl", [{"q": QUESTION}])
    with pytest.raises(InputError, match="no document is left"):
        decontaminate(corpus, [evaluation], tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()
    names = write_records(tmp_path / "names.jsonl", [{"q": "京都", "a": QUESTION[:18]}])
    with pytest.raises(InputError, match="no text of 24 letters"):
        decontaminate(corpus, [names], tmp_path / "out", quiet=True)
    for ngram in (3, 100_000):
        with pytest.raises(UsageError, match=f"--ngram {ngram}: must be from 8"):
            decontaminate(corpus, [evaluation], tmp_path / "out", ngram=ngram, quiet=True)
    with pytest.raises(ArtifactError):
        decontaminate(tmp_path, [evaluation], tmp_path / "out", quiet=True)
    with pytest.raises(InputError, match=r"absent\.json"):
        decontaminate(corpus, [str(tmp_path / "absent.json")], tmp_path / "out", quiet=True)


def test_the_command_prints_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = corpus_of(tmp_path, [*others(), LEAK])
    write_records(tmp_path / "eval.jsonl", [{"q": QUESTION}])
    words = ["corpus", "decontaminate", str(corpus), "--against", str(tmp_path / "eval.jsonl")]
    assert run([*words, "--out", str(tmp_path / "clean"), "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["contaminated"] == 1
