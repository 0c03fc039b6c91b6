from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.measures import CHEAP, MEASURES, measure
from corpora.rules import PRESETS, parse_rules, read_presets
from stage.errors import ArtifactError, UsageError

DOCS = (Path(__file__).parents[2] / "docs" / "measures.md").read_text("utf-8")


def texts_of(text: str) -> list[str]:
    return [str(comparison) for comparison in parse_rules(text).comparisons]


def test_a_preset_is_its_comparisons_and_what_follows_replaces_those_of_the_same_bound() -> None:
    assert texts_of("minimal") == ["chars>=20", "japanese_ratio>=0.2"]
    assert texts_of("minimal, chars > 100, chars<=1e6 ,max_line<80") == [
        "chars>100",
        "japanese_ratio>=0.2",
        "chars<=1000000",
        "max_line<80",
    ]
    swallow = parse_rules("swallow,chars>=100,mean_sentence<=120")
    assert {"chars>=100", "mean_sentence>=20", "mean_sentence<=120"} <= set(map(str, swallow.comparisons))
    assert "mean_sentence<=90" not in map(str, swallow.comparisons)


def test_an_infinite_threshold_takes_a_comparison_away_and_its_measure_with_it() -> None:
    assert texts_of("minimal,japanese_ratio>=-inf") == ["chars>=20"]
    assert parse_rules("minimal,japanese_ratio>=-inf").names == ("chars",)


def test_no_rules_need_no_measures_and_reject_nothing() -> None:
    for text in ("", "none", " , "):
        assert parse_rules(text).names == ()
        assert parse_rules(text).verdicts({"chars": np.zeros(3)}) == [("", 0.0)] * 3
    assert parse_rules("minimal").verdicts({"chars": np.zeros(0), "japanese_ratio": np.zeros(0)}) == []


def test_the_first_comparison_that_fails_is_the_verdict_with_its_measure() -> None:
    columns = {"chars": np.array([5, 30, 30, 2**53]), "japanese_ratio": np.array([0.0, 0.1, 0.2, 1.0])}
    assert parse_rules("minimal,chars<=100").verdicts(columns) == [
        ("chars>=20", 5.0),
        ("japanese_ratio>=0.2", 0.1),
        ("", 0.0),
        ("chars<=100", 2.0**53),
    ]


@pytest.mark.parametrize(("sign", "kept"), [(">=", [0, 1, 1]), (">", [0, 0, 1]), ("<=", [1, 1, 0]), ("<", [1, 0, 0])])
def test_operators_take_the_threshold_itself_as_they_say(sign: str, kept: list[int]) -> None:
    verdicts = parse_rules(f"run{sign}2").verdicts({"run": np.array([1.0, 2.0, 3.0])})
    assert [int(reason == "") for reason, _ in verdicts] == kept


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_comparison_reads_back_as_it_is_written(threshold: float) -> None:
    once = texts_of(f"run<={threshold!r}")
    assert texts_of(once[0]) == once


def test_measures_that_are_missing_or_unknown_for_a_document_are_an_error() -> None:
    with pytest.raises(
        ArtifactError, match="the measure chars and 1 more: build the corpus again with --measures chars,japanese"
    ):
        parse_rules("minimal").verdicts({"run": np.ones(2)})
    with pytest.raises(ArtifactError, match="not all documents have the measure run: build the corpus again"):
        parse_rules("run>=1").verdicts({"run": np.array([1.0, np.nan])})
    with pytest.raises(ArtifactError, match=r"again with --ng_words and --trust \(made with --against\)$"):
        parse_rules("quality>=1,ng_hits<=3").verdicts({"chars": np.ones(2)})


def test_a_threshold_beyond_what_is_stored_is_as_infinite(recwarn) -> None:
    columns = {"mean_line": np.array([3, 5], np.float32)}
    assert parse_rules("mean_line<=1e300").verdicts(columns) == [("", 0.0)] * 2
    assert not recwarn.list


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "swalow",
            r"there are no rules 'swalow' \(did you mean swallow\?\): it must be none, minimal, swallow, fineweb2-ja",
        ),
        ("文庫", "it must be none, minimal, swallow, fineweb2-ja, llm-jp, english, code, or a .yaml file"),
        ("charz>=1", "no measure 'charz': did you mean chars?"),
        ("chars>=多", "'chars>=多' is no comparison"),
        ("chars>=nan", "is no comparison: write a measure"),
        ("chars=>5", "is no comparison"),
        ("chars", "'chars' is no comparison: write a measure, .* in quotes"),  # what a shell leaves of chars>=5
        ("chars==5", "is no comparison"),
        ("minimal,swallow", "'swallow' is no comparison"),
        ("minimal,chars<=10", "chars>=20 and chars<=10: no document meets both"),
        ("chars>5,chars<=5", "no document meets both"),
        ("nowhere.yaml", "nowhere.yaml: cannot be read"),
    ],
)
def test_impossible_rules_are_refused_with_the_mend(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_rules(text)


def test_a_narrow_range_is_no_contradiction() -> None:
    assert texts_of("chars>=5,chars<=5") == ["chars>=5", "chars<=5"]
    assert texts_of("run>0,run<1") == ["run>0", "run<1"]


def test_a_preset_of_ones_own_is_read_from_its_file(tmp_path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text("my-rules: {origin: our own, rules: ['chars>=7', 'run<=9']}\n", "utf-8")
    assert texts_of(f"{file},run<=3") == ["chars>=7", "run<=3"]
    file.write_text("a: {rules: []}\nb: {rules: []}\n", "utf-8")
    with pytest.raises(UsageError, match=r"a \.yaml file with one preset"):
        parse_rules(str(file))
    for wrong in ("- chars>=7", "a: 5", "a: {rules: [3]}", "a: {rules: chars>=7}", "{", ""):
        file.write_text(wrong, "utf-8")
        with pytest.raises(UsageError, match="must hold a preset"):
            read_presets(file)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_an_origin_and_can_be_applied(name: str) -> None:
    assert PRESETS[name].keys() == {"origin", "deviations", "rules"} and PRESETS[name]["origin"]
    rules = parse_rules(name)
    assert [str(comparison) for comparison in rules.comparisons] == PRESETS[name]["rules"]
    text = "国境の長いトンネルを抜けると、そこは雪国であった。"
    assert len(rules.verdicts(measure([text, ""], rules.names))) == 2


def test_the_minimal_preset_needs_cheap_measures_only() -> None:
    assert set(parse_rules("minimal").names) <= set(CHEAP)


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_is_in_the_docs(name: str) -> None:
    assert f"| `{name}` | {'·' if name in CHEAP else ''} | {MEASURES[name]} |\n" in DOCS


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_in_the_docs(name: str) -> None:
    row = [
        PRESETS[name]["origin"],
        PRESETS[name]["deviations"],
        " ".join(f"`{rule}`" for rule in PRESETS[name]["rules"]),
    ]
    assert f"| `{name}` | {' | '.join(row)} |\n" in DOCS
