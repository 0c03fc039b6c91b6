"""Prompts that are continued together against the same prompts one by one."""

import pytest
import torch

from jgpt.config import GenerateConfig
from jgpt.generation import batch as module
from jgpt.generation.batch import generate_batch
from jgpt.generation.generate import generate
from stage.errors import InputError, UsageError
from tokenizer import JapaneseTokenizer

SHOTS = "問：𠮷野家は？\n答：「牛丼」\n"
PROMPTS = [
    "吾輩は",
    "文：吾輩は猫である。名前はまだ無い。\n問：名前は？\n答：「",
    "文：吾輩は猫である。名前はまだ無い。\n問：何である？\n答：「",
    "文：吾輩は猫である。名前はまだ無い。\n問：何である？\n答：「",
    "",
    SHOTS + "文：山路を登りながら、こう考えた。\n問：どこを？\n答：「",
    SHOTS + "文：山路を登りながら、こう考えた。\n問：何をしながら考えた？\n答：「",
    SHOTS + "文：ｶﾞﾗｽの窓をあけた。\n問：何を？\n答：「",
    "👨‍👩‍👧、か\u3099、\u3000",
    "吾輩は猫" * 40,  # longer than the context
]


@pytest.fixture(scope="module")
def tokenizer(root):
    return JapaneseTokenizer(root / "tokenizer")


def one_by_one(model, tokenizer, prompts, **fields):
    config = GenerateConfig(temperature=0, **fields)
    return [generate(model, tokenizer, prompt, config) for prompt in prompts]


@pytest.mark.parametrize("shape", ["default", "gpt2", "llama", "qwen3", "grouped"])
def test_each_text_is_that_of_its_prompt_alone(new_model, tokenizer, shape):
    fields = {"heads": 4, "kv_heads": 2} if shape == "grouped" else {}
    model = new_model("default" if fields else shape, seed=3, context_length=160, **fields)
    expected = one_by_one(model, tokenizer, PROMPTS, max_tokens=24)
    assert len(set(expected)) >= 7  # the prompts matter, else all this shows nothing
    for batch_tokens in (1, 400, 16384):
        assert (
            generate_batch(model, tokenizer, PROMPTS, max_tokens=24, stop=(), batch_tokens=batch_tokens) == expected
        ), batch_tokens


def test_the_order_and_the_company_of_prompts_change_nothing(new_model, tokenizer):
    model = new_model(seed=4, context_length=160)
    expected = dict(zip(PROMPTS, generate_batch(model, tokenizer, PROMPTS, max_tokens=12), strict=True))
    for some in (PROMPTS[::-1], PROMPTS[3:7], PROMPTS[:1] * 3, []):
        assert generate_batch(model, tokenizer, some, max_tokens=12) == [expected[prompt] for prompt in some]


def test_stop_strings_and_the_limit_end_each_row_by_itself(new_model, tokenizer):
    model = new_model(seed=5, context_length=160)
    whole = one_by_one(model, tokenizer, PROMPTS[:9], max_tokens=24)
    stop = [next(text[3:5] for text in whole if len(text) > 5), whole[1][1:2]]
    found = generate_batch(model, tokenizer, PROMPTS[:9], max_tokens=24, stop=stop)
    assert found == one_by_one(model, tokenizer, PROMPTS[:9], max_tokens=24, stop=stop)
    assert len({len(text) for text in found}) > 2
    assert generate_batch(model, tokenizer, PROMPTS, max_tokens=0) == [""] * len(PROMPTS)
    with pytest.raises(UsageError, match="empty string"):
        generate_batch(model, tokenizer, PROMPTS, stop=[""])


def test_what_prompts_share_is_read_once(new_model, tokenizer, monkeypatch):
    model = new_model(context_length=160)
    prompts = [f"{SHOTS}文：吾輩は猫である。名前はまだ無い。\n問：{word}\n答：「" for word in ("甲乙", "丙丁", "戊己")]
    read = []
    hidden = model.hidden
    monkeypatch.setattr(
        model, "hidden", lambda ids, *rest, **named: (read.append(ids.numel()), hidden(ids, *rest, **named))[1]
    )
    generate_batch(model, tokenizer, prompts, max_tokens=1)
    lengths = [len(tokenizer.encode(prompt, begin=True)) for prompt in prompts]
    assert sum(read) < 0.7 * sum(lengths)


def test_groups_are_neighbours_in_order():
    prompts = [[1, 5, 6, 7], [1, 5, 6, 8], [1, 9], [1, 9, *range(20, 90)], [1, 9, *range(20, 91)]]
    groups = list(module._groups(prompts))
    assert [number for group in groups for number in group] == [0, 1, 2, 3, 4]
    assert range(3, 5) in groups


def test_logits_that_are_not_finite_are_an_error_in_words(new_model, tokenizer):
    model = new_model(context_length=160)
    with torch.no_grad():
        model.head.weight[7, 3] = float("nan")
    with pytest.raises(InputError, match="not finite"):
        generate_batch(model, tokenizer, PROMPTS[:3])
