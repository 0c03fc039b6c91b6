"""Generation and scores against the model's own logits, computed the plain way."""

import math

import pytest
import torch

from jgpt.config import GenerateConfig
from jgpt.generation import generate as module
from jgpt.generation.characters import CharacterGuard
from jgpt.generation.generate import generate, stream, stream_ids
from jgpt.generation.sampling import sample
from jgpt.generation.score import score
from stage.errors import InputError
from tokenizer import JapaneseTokenizer

NEVER = -1  # no id ends the generation


@pytest.fixture(scope="module")
def tokenizer(root):
    return JapaneseTokenizer(root / "tokenizer")


@pytest.fixture
def given(monkeypatch, tokenizer):
    """Let the model produce just these ids."""

    def give(*ids):
        monkeypatch.setattr(module, "stream_ids", lambda *_: iter(ids))

    return give


def greedy(model, ids, count):
    """Without a cache: the whole context again for each token; when it is full, its later half."""
    found, context = [], model.config.context_length
    window = ids[-context:]
    for _ in range(count):
        if len(window) > context:
            window = [*ids, *found][-(context // 2) :]
        with torch.no_grad():
            found.append(int(model(torch.tensor([window]))[0, -1].argmax()))
        window = [*window, found[-1]]
    return found


def ids_of(model, ids, **fields):
    return list(stream_ids(model, ids, GenerateConfig(**fields), NEVER))


@pytest.mark.parametrize("architecture", ["default", "gpt2"])
@pytest.mark.parametrize("length", [1, 5, 16, 40])
def test_at_temperature_0_the_likeliest_token_follows(new_model, architecture, length):
    model = new_model(architecture, seed=length)
    ids = torch.randint(400, (length,), generator=torch.Generator().manual_seed(length)).tolist()
    found = ids_of(model, ids, temperature=0, max_tokens=50)  # three times the context
    assert found == greedy(model, ids, 50)
    assert found == ids_of(model, ids, temperature=0, max_tokens=50, seed=9)


def test_the_same_seed_gives_the_same_text(new_model, tokenizer):
    model = new_model()
    config = GenerateConfig(seed=3, max_tokens=30)
    text = generate(model, tokenizer, "吾輩は", config)
    torch.rand(5)
    assert generate(model, tokenizer, "吾輩は", config) == text
    assert generate(model, tokenizer, "吾輩は", GenerateConfig(seed=4, max_tokens=30)) != text


def test_top_k_of_1_is_greedy(new_model):
    model = new_model()
    assert ids_of(model, [1, 50], top_k=1, temperature=2.0, max_tokens=30) == greedy(model, [1, 50], 30)


def test_a_tiny_top_p_keeps_the_likeliest(new_model):
    model = new_model()
    assert ids_of(model, [1, 50], top_p=1e-9, temperature=2.0, max_tokens=30) == greedy(model, [1, 50], 30)


def drawn(logits, count=3000, **fields):
    """How often each id was drawn."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.tensor(logits)
    config = GenerateConfig(**{"top_p": 1.0, "temperature": 1.0} | fields)
    seen = torch.tensor([0])
    ids = [sample(logits, seen, config, generator) for _ in range(count)]
    return [ids.count(index) / count for index in range(len(logits))]


LOGITS = [math.log(share) for share in (0.4, 0.3, 0.2, 0.1)]


def test_tokens_are_drawn_by_their_probability():
    assert drawn(LOGITS) == pytest.approx([0.4, 0.3, 0.2, 0.1], abs=0.03)
    assert drawn(LOGITS, temperature=0.5) == pytest.approx([16 / 30, 9 / 30, 4 / 30, 1 / 30], abs=0.03)


def test_top_k_and_top_p_leave_the_likeliest_out_of_which_is_drawn():
    assert drawn(LOGITS, top_k=2) == pytest.approx([4 / 7, 3 / 7, 0, 0], abs=0.03)
    # .4 alone is less than .69, .4 + .3 is enough
    assert drawn(LOGITS, top_p=0.69) == pytest.approx([4 / 7, 3 / 7, 0, 0], abs=0.03)
    assert drawn(LOGITS, top_p=0.71) == pytest.approx([4 / 9, 3 / 9, 2 / 9, 0], abs=0.03)
    assert drawn(LOGITS, top_k=99) == pytest.approx([0.4, 0.3, 0.2, 0.1], abs=0.03)


def test_a_repetition_penalty_makes_what_occurred_less_likely():
    generator = torch.Generator()
    config = GenerateConfig(temperature=0, repetition_penalty=2.0)
    assert sample(torch.tensor([3.0, 2.0, 1.0]), torch.tensor([0, 0]), config, generator) == 1
    assert sample(torch.tensor([-1.0, -1.5, -9.0]), torch.tensor([0]), config, generator) == 1
    # once, however often it occurred
    assert sample(torch.tensor([5.0, 2.0, 1.0]), torch.tensor([0, 0, 0]), config, generator) == 0


def test_the_penalty_leaves_the_logits_as_they_were():
    logits = torch.tensor([3.0, 2.0])
    sample(logits, torch.tensor([0]), GenerateConfig(repetition_penalty=5.0), torch.Generator())
    assert logits.tolist() == [3.0, 2.0]


def test_the_end_piece_ends_the_text_and_is_not_given_out(new_model, tokenizer):
    model = new_model()
    with torch.no_grad():
        model.head.weight.zero_()
    assert list(stream_ids(model, [1], GenerateConfig(temperature=0), 0)) == []
    assert generate(model, tokenizer, "吾輩は", GenerateConfig(max_tokens=0)) == ""


def test_logits_that_are_not_finite_are_an_error_in_words(new_model, tokenizer):
    model = new_model()
    with torch.no_grad():
        model.head.weight.fill_(math.nan)
    with pytest.raises(InputError, match="not finite"):
        generate(model, tokenizer, "吾輩は")


@pytest.mark.parametrize("stop", ["名前", "。名", "である。名前は", "𠮷", "👨‍👩"])
def test_a_stop_string_never_comes_out_though_pieces_part_it(given, tokenizer, stop):
    text = "吾輩は猫である。名前はまだ無い。𠮷野家は👨‍👩‍👧‍👦です。"
    given(*(index for character in text for index in tokenizer.encode(character)))
    parts = list(stream(None, tokenizer, "", GenerateConfig(stop=["無い無い", stop])))
    assert "".join(parts) == text[: text.index(stop)]
    given(*tokenizer.encode(text))
    assert "".join(stream(None, tokenizer, "", GenerateConfig(stop=[stop]))) == text[: text.index(stop)]


def test_the_first_of_several_stop_strings_stops(given, tokenizer):
    given(*tokenizer.encode("猫である。名前"))
    assert "".join(stream(None, tokenizer, "", GenerateConfig(stop=["名前", "で", "ある"]))) == "猫"


def test_what_only_began_like_a_stop_string_comes_out_at_the_end(given, tokenizer):
    given(*tokenizer.encode("猫である"))
    assert "".join(stream(None, tokenizer, "", GenerateConfig(stop=["である。", "るい"]))) == "猫である"


def test_a_character_of_several_bytes_comes_out_whole(given, tokenizer):
    text = "𩸽と👩🏽‍🚒と鷗"  # not in the vocabulary: bytes
    ids = tokenizer.encode(text)
    assert sum(map(tokenizer.is_byte, ids)) > 12
    for end in range(len(ids) + 1):
        given(*ids[:end])
        parts = list(stream(None, tokenizer, "", GenerateConfig()))
        assert all(parts) and not any("\ufffd" in part for part in parts)
        assert text.startswith("".join(parts))
    assert "".join(parts) == text


def test_text_can_be_generated_in_bfloat16(new_model, tokenizer):
    model = new_model().to(torch.bfloat16)
    config = GenerateConfig(temperature=0, max_tokens=40)
    assert generate(model, tokenizer, "吾輩は", config) == generate(model, tokenizer, "吾輩は", config) != ""


@pytest.mark.parametrize("seed", range(5))
def test_no_random_model_breaks_a_character(new_model, tokenizer, seed):
    model = new_model(seed=seed, vocab_size=450)  # with ids that the tokenizer does not have
    with torch.no_grad():
        model.head.weight[tokenizer.piece_id("<0x00>") : tokenizer.piece_id("<0xFF>") + 1] *= 3  # bytes come often
    for config in (GenerateConfig(max_tokens=80, seed=seed, top_p=1.0), GenerateConfig(max_tokens=80, temperature=0)):
        parts = list(stream(model, tokenizer, "猫", config))
        assert not any("\ufffd" in part for part in parts)


def test_the_guard_rules_out_ids_that_the_tokenizer_does_not_have(tokenizer):
    assert torch.isinf(CharacterGuard(tokenizer).restrict(torch.zeros(450))[400:]).all()


@pytest.mark.parametrize("text", ["é", "猫", "𠮷", "𩸽と鷗", "\U0010ffff", "\ud7ff\ue000", "\u0800\U00010000"])
def test_the_guard_lets_every_character_through(tokenizer, text):
    guard = CharacterGuard(tokenizer)
    for byte in text.encode():
        index = tokenizer.piece_id(f"<0x{byte:02X}>")
        assert math.isfinite(float(guard.restrict(torch.zeros(400))[index]))
        guard.feed(index)
    assert not guard.unfinished


@pytest.mark.parametrize(
    "wrong", [b"\x80", b"\xc0", b"\xff", b"\xe3\x41", b"\xe0\x80", b"\xed\xa0", b"\xf4\x90", b"\xf0\x80"]
)
def test_the_guard_lets_no_broken_character_through(tokenizer, wrong):
    guard = CharacterGuard(tokenizer)
    *before, last = (tokenizer.piece_id(f"<0x{byte:02X}>") for byte in wrong)
    for index in before:
        guard.feed(index)
    allowed = guard.restrict(torch.zeros(400))
    assert math.isinf(float(allowed[last]))
    assert guard.unfinished == bool(before) == math.isinf(float(allowed[tokenizer.eos_id]))


def test_stream_and_generate_agree(new_model, tokenizer):
    model, config = new_model(), GenerateConfig(max_tokens=40, seed=1)
    assert "".join(stream(model, tokenizer, "𠮷", config)) == generate(model, tokenizer, "𠮷", config)


def test_scores_are_the_surprisals_of_the_tokens(new_model, tokenizer):
    model, text = new_model(context_length=64), "吾輩は猫である。"
    ids = tokenizer.encode(text, begin=True, end=True)
    with torch.no_grad():
        table = model(torch.tensor([ids[:-1]]))[0].double().log_softmax(-1)
    wanted = [-float(table[place, index]) / math.log(2) for place, index in enumerate(ids[1:])]
    scores = score(model, tokenizer, text)
    assert [entry.surprisal for entry in scores] == pytest.approx(wanted, rel=1e-4)
    assert sum(entry.surprisal for entry in scores) == pytest.approx(sum(wanted), rel=1e-5)
    assert [entry.id for entry in scores] == ids[1:]
    assert [entry.piece for entry in scores[:-1]] == tokenizer.pieces(text)
    for place, entry in enumerate(scores):
        assert entry.rank == 1 + int((table[place] > table[place, entry.id]).sum())
    assert [entry.id for entry in score(model, tokenizer, text, end=False)] == ids[1:-1]
    assert [entry.id for entry in score(model, tokenizer, "")] == [2]


@pytest.mark.parametrize("context", [1, 7, 16])
def test_long_texts_are_scored_in_windows(new_model, tokenizer, context):
    model, text = new_model(context_length=context), "吾輩は猫である。名前はまだ無い。" * 3
    ids = tokenizer.encode(text, begin=True, end=True)
    scores = score(model, tokenizer, text)
    assert [entry.id for entry in scores] == ids[1:]
    done = 1
    while done < len(ids):
        begin = 0 if done == 1 else done - (context // 2 or 1)
        window = ids[begin : begin + context + 1]
        with torch.no_grad():
            table = model(torch.tensor([window[:-1]]))[0].double().log_softmax(-1)
        for place in range(done, begin + len(window)):
            surprisal = -float(table[place - 1 - begin, ids[place]]) / math.log(2)
            assert scores[place - 1].surprisal == pytest.approx(surprisal, rel=1e-4)
            assert place - begin >= min(place, context // 2)
        done = begin + len(window)
