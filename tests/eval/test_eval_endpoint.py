"""The endpoint against the same model in its folder, and against servers that misbehave."""

import math

import pytest

from eval import completions
from eval.echo import align, shared, split
from eval.models import open_model
from stage.errors import JgptError, UsageError

QUESTIONS = [
    ("神は知れり 水が", ["地の上に満ちた", "空より", "𠮷田"]),
    ("王は", ["民に法を与へた", "𩸽"]),
    ("", ["僕", "神"]),
    ("▁𠮷", ["𩸽は", "か\u3099く"]),
]


@pytest.fixture(scope="module")
def folder(tiny_run):
    return open_model(tiny_run / "model", device="cpu", quiet=True)


@pytest.fixture
def server(folder, completions_server):
    return completions_server.Server(folder.model, folder.tokenizer)


@pytest.fixture
def url(server, completions_server, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with completions_server.serving(server) as address:
        yield address


@pytest.fixture
def waits(monkeypatch):
    found = []
    monkeypatch.setattr(completions.time, "sleep", found.append)
    return found


def scores(model, questions=QUESTIONS):
    return [[round(each.log_probability, 3) for each in some] for some in model.score_choices(questions)]


def differences(some):
    return [[round(each - values[0], 2) for each in values] for values in some]


@pytest.mark.parametrize("offsets", ["characters", ""])
def test_an_endpoint_gives_the_scores_of_the_folder_behind_it(folder, server, url, offsets):
    server.offsets = offsets
    model = open_model(url, endpoint_model="tiny", quiet=True)
    assert (model.name, model.context_length, model.identity()) == ("tiny", 64, f"{url} tiny")
    expected = scores(folder)
    for found, wanted in zip(scores(model), expected, strict=True):
        assert found == pytest.approx(wanted, abs=2e-3)
    assert {key for each in server.asked for key in each} == {
        "model",
        "prompt",
        "max_tokens",
        "temperature",
        "echo",
        "logprobs",
    }
    text = "神は光を見て善しとした"
    whole = folder.score_texts([text])[0]
    found = model.score_texts([text, ""])
    assert found[0].tokens == whole.tokens - 1 and found[1].tokens == 0  # without </s>
    assert found[0].log_probability > whole.log_probability


def test_byte_pieces_may_be_written_in_three_ways(folder, server, url):
    expected = scores(folder)
    for way in (lambda byte: f"<0x{byte[0]:02X}>", lambda byte: f"bytes:\\x{byte[0]:02x}"):

        def written(index, way=way):
            found = folder.tokenizer.bytes_of(index)
            return way(found) if folder.tokenizer.is_byte(index) and found[0] > 127 else found.decode()

        server.written = written
        model = open_model(url, quiet=True)  # the only model there
        for found, wanted in zip(scores(model), expected, strict=True):
            assert found == pytest.approx(wanted, abs=2e-3)


def test_without_a_begin_piece_the_first_token_is_told_to_be_unscored(folder, server, url):
    server.begin = ""
    found = open_model(url, quiet=True).score_choices(QUESTIONS[1:3])
    assert [[each.unscored for each in some] for some in found] == [[0, 0], [1, 1]]


def test_greedy_text_is_that_of_the_folder(folder, server, url):
    prompts = ["神は", "王は民に", ""]
    model = open_model(url, quiet=True)
    assert model.generate(prompts, max_tokens=8) == folder.generate(prompts, max_tokens=8)
    stop = [folder.generate(prompts, max_tokens=8)[0][2:3]]
    assert model.generate(prompts, max_tokens=8, stop=stop) == folder.generate(prompts, max_tokens=8, stop=stop)
    assert model.generate(prompts, max_tokens=0) == ["", "", ""]


def test_long_texts_are_scored_in_pieces(folder, server, url, monkeypatch):
    from eval import endpoint

    monkeypatch.setattr(endpoint, "PIECE", 8)
    model = open_model(url, quiet=True)
    text = "神は知れり人は海の魚を治めた王は民に法を与へた"
    found, whole = model.score_texts([text])[0], folder.score_texts([text])[0]
    assert abs(found.tokens - whole.tokens) <= 6
    assert all(len(each["prompt"]) <= 12 for each in server.asked)


def test_a_context_that_is_too_long_loses_its_beginning_for_all_choices(server, url):
    server.most = 20
    found = open_model(url, quiet=True).score_choices([("神は知れり " * 8, ["水が", "地の上に"]), ("神は", ["水"])])
    assert [[each.cut for each in some] for some in found] == [[True, True], [False]]
    server.most = 1
    with pytest.raises(JgptError, match="too long for its model"):
        open_model(url, quiet=True).score_choices([("神は", ["水が地の"])])


def test_a_busy_server_is_asked_again_when_it_says(server, url, waits):
    model = open_model(url, quiet=True)
    expected = scores(model, QUESTIONS[:1])
    server.first = [(429, {"Retry-After": "7"}, b"slow down"), (503, {}, b""), (0, {}, b"")]
    assert open_model(url, endpoint_parallel=1, quiet=True) and waits == [7.0, 2.0, 4.0]
    assert scores(model, QUESTIONS[:1]) == expected
    server.first = [(503, {}, {"error": {"message": "loading"}})] * 99
    with pytest.raises(JgptError, match=r"busy or broken after 6 attempts \(503: loading\)"):
        open_model(url, quiet=True)


def test_the_key_goes_with_requests_and_nowhere_else(server, url, monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    open_model(url, quiet=True).score_choices(QUESTIONS[:1])
    assert all(each["Authorization"] == "Bearer sk-secret" for each in server.headers)
    server.first = [(401, {}, {"error": {"message": "Incorrect API key provided: sk-secret"}})]
    with pytest.raises(JgptError, match="OPENAI_API_KEY is not one that it takes") as error:
        open_model(url, quiet=True)
    assert "sk-secret" not in str(error.value) + "".join(capsys.readouterr())
    monkeypatch.delenv("OPENAI_API_KEY")
    server.first = [(401, {}, b"")]
    with pytest.raises(JgptError, match="OPENAI_API_KEY is not set"):
        open_model(url, quiet=True)
    assert "Authorization" not in server.headers[-1]


def test_a_redirect_does_not_carry_the_key_away(server, url, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    server.first = [(307, {"Location": f"{url}/elsewhere"}, b"")]
    with pytest.raises(JgptError, match="307"):
        open_model(url, quiet=True)
    assert len(server.headers) == 1


def change(**fields):
    def spoil(answer, asked):
        if asked.get("echo"):
            answer["choices"][0]["logprobs"] |= fields
        return answer

    return spoil


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda answer, _: {"choices": [answer["choices"][0] | {"logprobs": None}]}, "gives no log-probabilities"),
        (lambda answer, _: {"choices": [answer["choices"][0] | {"text": "神"}]}, "does not echo"),
        (lambda answer, _: {"choices": []}, "no choices with a text"),
        (lambda answer, _: ["?"], "not JSON"),
        (lambda answer, _: b"<html>hello</html>", "usually ends with /v1"),
        (change(tokens=["神"]), "of one length"),
        (change(tokens=["神"], token_logprobs=[-1.0]), "do not join"),
        (change(tokens=None), "of one length"),
        (change(token_logprobs=["x"] * 3, tokens=["a"] * 3), "no numbers"),
    ],
)
def test_a_server_that_cannot_give_scores_is_named_in_one_line(server, url, spoil, match):
    server.spoil = spoil
    with pytest.raises(JgptError, match=match) as error:
        open_model(url, quiet=True).score_choices(QUESTIONS[:2])
    assert "\n" not in str(error.value) and url in str(error.value)


def test_probabilities_of_what_it_writes_alone_are_no_scores(server, url):
    def spoil(answer, asked):
        record = answer["choices"][0]["logprobs"]
        record["token_logprobs"] = [*[None] * (len(record["tokens"]) - 1), -1.0]
        return answer

    server.spoil = spoil
    with pytest.raises(JgptError, match="but of what it writes itself"):
        open_model(url, quiet=True).score_choices(QUESTIONS[:2])


def test_mistakes_of_the_user_name_their_mend(server, url):
    with pytest.raises(UsageError, match="no such model; it has tiny"):
        open_model(url, endpoint_model="huge")
    with pytest.raises(UsageError, match="without a key"):
        open_model("http://me:secret@localhost/v1")
    with pytest.raises(UsageError, match="is no address"):
        open_model("http://localhost:port/v1")
    with pytest.raises(UsageError, match="--dtype bfloat16: has no effect"):
        open_model(url, dtype="bfloat16")
    with pytest.raises(UsageError, match="--endpoint_parallel 0"):
        open_model(url, endpoint_parallel=0)
    with pytest.raises(UsageError, match="--reference: has no effect"):
        open_model(url, reference=True)
    with pytest.raises(JgptError, match="has no /models"):
        open_model(url.removesuffix("/v1"))
    with pytest.raises(JgptError, match="nothing answers there"):
        open_model("http://127.0.0.1:9/v1")


def test_tokens_are_found_in_the_text_or_told_not_to_be():
    def places(tokens, text):
        found = align(tokens, [-1.0] * len(tokens), text)
        return found and [(each.begin, each.end) for each in found]

    assert places(["a", "b"], "ab") == [(0, 1), (1, 2)]
    assert places(["<s>", "猫", "が"], "猫が") == [(0, 0), (0, 3), (3, 6)]
    assert places([" 猫", "が", "</s>"], "猫が") == [(0, 3), (3, 6), (6, 6)]
    assert places(["the", "cat"], "the cat") == [(0, 3), (3, 7)]
    assert places(["\ufffd"] * 4, "𠮷") == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert places(["", "", "𠮷"], "𠮷") == [(0, 0), (0, 0), (0, 4)]
    assert places(["猫", "犬"], "猫が") is None
    assert places(["猫"], "猫が") is None
    assert places(["\ufffd", "a"] * 60, "a" * 500) is None  # in the time of its length squared
    tokens, join = split(["問", ":", "猫"], [-1.0] * 3, "問：猫", "問：", "問：猫")
    assert [each.text for each in tokens] == ["問", ":", "猫"] and join == 4


def test_a_token_that_spans_the_join_is_scored_with_every_choice():
    first = align(["答", "えは", "猫"], [None, -1.0, -2.0], "答えは猫")
    second = align(["答", "えは猫背"], [None, -3.0], "答えは猫背")
    assert shared([first, second], len("答えは".encode())) == 1
    assert shared([first, first], len("答えは".encode())) == 2
    assert math.isclose(sum(each.log_probability for each in second[1:]), -3.0)


def test_half_of_a_surrogate_pair_in_an_answer_does_not_end_the_run(server, url):
    server.spoil = lambda answer, _: {"choices": [{"text": "神\ud800"}]}
    assert open_model(url, quiet=True).generate(["王は"], max_tokens=4) == ["神?"]


def test_a_list_of_models_without_names_is_told(server, url, monkeypatch):
    monkeypatch.setattr(completions.Completions, "models", lambda self: [{"object": "model"}])
    with pytest.raises(UsageError, match="name the model with --endpoint_model NAME; it lists none"):
        open_model(url)
