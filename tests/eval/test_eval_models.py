"""Folders of jgpt and of Hugging Face's form behind one protocol: the same model gives the same scores."""

import json
import shutil

import pytest
import torch

from eval.huggingface import HuggingFaceModel
from eval.models import JgptModel, open_model
from jgpt import GPT, export_model
from jgpt.config import ModelConfig
from jgpt.model.folder import save_model
from stage.errors import ArtifactError, InputError, UsageError
from tokenizer import JapaneseTokenizer

SENTENCE = "神は光を見て善しとした"
QUESTIONS = [
    ("神は知れり 水が", ["地の上に満ちた", "空より", "𠮷田"]),
    ("王は", ["民に法を与へた", "𩸽"]),
    ("", ["僕", "神"]),
    (SENTENCE * 9, ["人は", "海の魚"]),  # longer than the context
    ("神は", [SENTENCE * 9]),
]
TEXTS = [SENTENCE, "", "か\u3099、\u3000👨‍👩‍👧", SENTENCE * 9]


@pytest.fixture(scope="module")
def folders(tiny_run, tmp_path_factory):
    """For each architecture a model folder and its export."""
    root = tmp_path_factory.mktemp("models")
    tokenizer = JapaneseTokenizer(tiny_run / "tokenizer")
    bytes_of = [index for index in range(tokenizer.vocab_size) if tokenizer.is_byte(index)]
    for name in ("default", "gpt2", "llama", "qwen3"):
        model = GPT(ModelConfig(name, depth=2, width=32, heads=2, context_length=64, vocab_size=420))
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(std=0.2, generator=generator)
            model.head.weight[bytes_of] = 0  # never the likeliest: half a character is ruled out in ours alone
        save_model(model, root / name, tiny_run / "tokenizer")
        export_model(root / name, root / f"{name}-hf")
    return root


@pytest.fixture
def exported(folders, tmp_path):
    """A copy of an export, to spoil."""
    shutil.copytree(folders / "default-hf", tmp_path / "hf")
    return tmp_path / "hf"


def opened(folder, **fields):
    return open_model(folder, device="cpu", quiet=True, **fields)


def rewrite(file, **fields):
    record = json.loads(file.read_text("utf-8")) | fields
    file.write_text(json.dumps({name: value for name, value in record.items() if value is not None}), "utf-8")


def flat(scores):
    return [each for some in scores for each in (some if isinstance(some, list) else [some])]


def numbers(scores):
    return [each.log_probability for each in flat(scores)]


@pytest.mark.parametrize("name", ["default", "gpt2", "llama", "qwen3"])
@pytest.mark.parametrize("batch_tokens", [1, 4096])
def test_an_export_gives_the_scores_and_the_text_of_its_model(folders, name, batch_tokens):
    own, other = opened(folders / name), opened(folders / f"{name}-hf", batch_tokens=batch_tokens)
    assert (type(own), type(other)) == (JgptModel, HuggingFaceModel)
    assert own.context_length == other.context_length == 64
    assert own.scores_end and other.scores_end
    for found, wanted in (
        (other.score_choices(QUESTIONS), own.score_choices(QUESTIONS)),
        (other.score_texts(TEXTS), own.score_texts(TEXTS)),
    ):
        assert numbers(found) == pytest.approx(numbers(wanted), abs=1e-4)
        assert [each[1:] for each in flat(found)] == [each[1:] for each in flat(wanted)]
    assert [some[0].cut for some in own.score_choices(QUESTIONS)] == [False, False, False, True, True]
    prompts = ["神は", "王は民に", "", "僕は主", "神は"]
    expected = own.generate(prompts, max_tokens=12)
    assert other.generate(prompts, max_tokens=12) == expected
    stop = [text[2:4] for text in expected if len(text) > 5]
    assert stop
    assert other.generate(prompts, max_tokens=12, stop=stop) == own.generate(prompts, max_tokens=12, stop=stop)
    assert other.generate(prompts, max_tokens=0) == [""] * 5
    with pytest.raises(UsageError, match="an empty string stops nothing"):
        other.generate(prompts, max_tokens=1, stop=[""])


def test_scores_are_those_of_the_logits(folders):
    other = opened(folders / "llama-hf")
    tokenizer, model = other.tokenizer.tokenizer, other.model
    ids = [*tokenizer(SENTENCE).input_ids, tokenizer.eos_token_id]
    assert ids[0] == tokenizer.bos_token_id
    with torch.inference_mode():
        values = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    wanted = sum(float(values[place, ids[place + 1]]) for place in range(len(ids) - 1))
    found = other.score_texts([SENTENCE])[0]
    assert (found.log_probability, found.tokens) == (pytest.approx(wanted, abs=1e-4), len(ids) - 1)


def test_a_tokenizer_that_puts_nothing_before_a_text_has_a_piece_put_there(folders, exported):
    record = json.loads((exported / "tokenizer.json").read_text("utf-8")) | {"post_processor": None}
    (exported / "tokenizer.json").write_text(json.dumps(record), "utf-8")
    rewrite(exported / "tokenizer_config.json", add_bos_token=False)
    whole = opened(folders / "default-hf").score_choices(QUESTIONS)
    without = opened(exported)
    assert without.tokenizer.tokenizer("日").input_ids == without.tokenizer.encode("日")
    assert numbers(without.score_choices(QUESTIONS)) == pytest.approx(numbers(whole), abs=1e-5)
    rewrite(exported / "tokenizer_config.json", bos_token=None)
    assert opened(exported).tokenizer.start == [2]  # </s>, as GPT-2 has it


def test_settings_of_sampling_in_the_folder_change_no_greedy_text(folders, exported):
    prompts = ["神は", "王は民に"]
    expected = opened(exported).generate(prompts, max_tokens=12)
    rewrite(exported / "generation_config.json", do_sample=True, temperature=5.0, repetition_penalty=9.0)
    assert opened(exported).generate(prompts, max_tokens=12) == expected


def test_the_identity_is_that_of_the_files_and_the_precision(folders, exported):
    first = opened(exported).identity()
    (exported / "README.md").write_text("other words", "utf-8")
    assert opened(exported, dtype="float32").identity() == first == opened(folders / "default-hf").identity()
    rewrite(exported / "config.json", rms_norm_eps=1e-5)
    assert opened(exported).identity() != first
    own = folders / "default"
    assert (
        len({opened(own).identity(), opened(own, dtype="bfloat16").identity(), opened(folders / "llama").identity()})
        == 3
    )


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_folder_that_brings_code_is_refused(exported, name):
    rewrite(exported / name, auto_map={"AutoModelForCausalLM": "modeling_own.Own"})
    (exported / "modeling_own.py").write_text("raise SystemExit('ran')", "utf-8")
    with pytest.raises(ArtifactError, match=f"brings Python code \\({name} has auto_map\\)"):
        opened(exported)


def test_weights_that_are_a_pickle_are_refused(exported):
    (exported / "model.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"holds no weights \(model.safetensors\)"):
        opened(exported)
    torch.save({}, exported / "pytorch_model.bin")
    with pytest.raises(ArtifactError, match=r"pytorch_model.bin is a pickle.*convert it to safetensors"):
        opened(exported)


def spoil_tokenizer(folder):
    for file in folder.glob("tokenizer*"):
        file.unlink()


def spoil_weights(folder):
    (folder / "model.safetensors").write_bytes(b"not tensors")


def spoil_type(folder):
    rewrite(folder / "config.json", model_type="nonsense")


def spoil_adapter(folder):
    (folder / "adapter_config.json").write_text("{}", "utf-8")


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (spoil_tokenizer, "holds no tokenizer"),
        (spoil_weights, "cannot load it"),
        (spoil_type, "cannot load it .*nonsense"),
        (spoil_adapter, "merge it into its model"),
    ],
)
def test_a_folder_that_is_no_model_is_told_in_one_line(exported, spoil, match):
    spoil(exported)
    with pytest.raises(ArtifactError, match=match) as error:
        opened(exported)
    assert "\n" not in str(error.value)


def test_a_model_whose_tokens_see_what_follows_is_no_language_model(exported):
    import transformers

    config = transformers.BertConfig(
        vocab_size=420, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    config.initializer_range = 1.0
    transformers.BertForMaskedLM(config).save_pretrained(exported)
    with pytest.raises(ArtifactError, match="is no causal language model"):
        opened(exported)


def test_numbers_that_are_none_are_an_error_in_words(exported):
    from safetensors.torch import load_file, save_file

    weights = load_file(exported / "model.safetensors")
    weights["model.embed_tokens.weight"].fill_(float("nan"))
    save_file(weights, exported / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match="not finite"):
        opened(exported).score_texts([SENTENCE])


def test_places_where_no_model_is_name_the_mend(tmp_path, folders):
    with pytest.raises(ArtifactError, match="hf download someone/model --local-dir DIR"):
        open_model("someone/model")
    with pytest.raises(ArtifactError, match=r"no such folder$"):
        open_model(tmp_path / "nowhere")
    with pytest.raises(ArtifactError, match="holds no model"):
        open_model(tmp_path)
    with pytest.raises(UsageError, match="--endpoint_model tiny"):
        open_model(folders / "default", endpoint_model="tiny")
    for name in ("default", "default-hf"):
        with pytest.raises(UsageError, match="--dtype float8: known are"):
            opened(folders / name, dtype="float8")
