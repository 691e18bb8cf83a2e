import numpy as np
import pytest
import torch
import transformers

from tests.trainables.augment.tiny_masked_lm import KINDS, WORDS, tiny_bert, wordpiece, write_masked_lm
from trainables.augment.models.gumbel import gumbel
from trainables.augment.models.masked_lm import MaskedLanguageModel, Window
from trainables.augment.operators.contextual import cut_windows, shared_model
from trainables.errors import ConfigurationError
from trainables.settings import EncoderSettings

HEADS = {
    "Albert": {"embedding_size": 16},
    "Bert": {},
    "DebertaV2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "legacy": False},
    "DistilBert": {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4},
    "Electra": {"embedding_size": 16},
    "MobileBert": {"embedding_size": 32, "intra_bottleneck_size": 32, "true_hidden_size": 32},
    "ModernBert": {"global_attn_every_n_layers": 1},
    "MPNet": {"pad_token_id": 1},
    "Roberta": {"pad_token_id": 1},
}


def windows_of(model, rng, n=40):
    found = []
    for _ in range(n):
        length = int(rng.integers(1, model.window_size + 1))
        ids = rng.integers(5, len(WORDS), length).tolist()
        masked = sorted(
            rng.choice(length, size=int(rng.integers(1, min(length, 6) + 1)), replace=False).tolist()
        )
        for position in masked:
            ids[position] = model.mask_id
        found.append(Window(ids, masked))
    return found


@pytest.mark.parametrize("family", sorted(HEADS))
def test_proposals_are_those_of_the_whole_model_run_on_one_window_at_a_time(family):
    tokenizer = wordpiece()
    config = getattr(transformers, f"{family}Config")(
        **{
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 64,
            "max_position_embeddings": 64,
            "initializer_range": 0.3,
            "pad_token_id": 0,
            **HEADS[family],
        }
    )
    make = getattr(transformers, f"{family}ForMaskedLM")
    torch.manual_seed(0)
    reference = make(config).eval()
    torch.manual_seed(0)
    model = MaskedLanguageModel(make(config).eval(), tokenizer)
    windows = windows_of(model, np.random.default_rng(0))
    proposals = model.propose(windows, top_k=5)
    row = 0
    for window in windows:
        ids = torch.tensor([[2, *window.ids, 3]])
        with torch.inference_mode():
            logits = reference(input_ids=ids).logits[0].float().numpy()[:, model.token_ids]
        for position in window.masked:
            expected = np.argsort(-logits[position + 1])[:5]
            np.testing.assert_allclose(
                proposals.logits[row], logits[position + 1][expected], rtol=1e-3, atol=1e-3
            )
            np.testing.assert_allclose(
                logits[position + 1][proposals.words[row]], proposals.logits[row], rtol=1e-3, atol=1e-3
            )
            row += 1
    assert row == len(proposals.words)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_window_gets_the_same_bits_in_any_company(precision):
    tokenizer = wordpiece()
    shape = {"hidden_size": 64, "intermediate_size": 256, "initializer_range": 0.1}
    model = MaskedLanguageModel(tiny_bert(tokenizer, **shape), tokenizer, precision=precision)
    rng = np.random.default_rng(1)
    windows = windows_of(model, rng, n=200)
    together = model.propose(windows, top_k=10)
    rows = np.cumsum([0, *(len(window.masked) for window in windows)])
    order = rng.permutation(len(windows)).tolist()
    shuffled = model.propose([windows[i] for i in order], top_k=10)
    start = 0
    for i in order:
        n = len(windows[i].masked)
        assert (shuffled.logits[start : start + n] == together.logits[rows[i] : rows[i + 1]]).all()
        assert (shuffled.words[start : start + n] == together.words[rows[i] : rows[i + 1]]).all()
        start += n
    for i in order[:20]:
        alone = model.propose([windows[i]], top_k=10)
        assert (alone.logits == together.logits[rows[i] : rows[i + 1]]).all()
        assert (alone.words == together.words[rows[i] : rows[i + 1]]).all()


def test_no_window_gives_no_proposal():
    tokenizer = wordpiece()
    assert MaskedLanguageModel(tiny_bert(tokenizer), tokenizer).propose([], 10).words.shape[0] == 0


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_only_whole_content_words_can_be_written(kind):
    make_tokenizer, make_model = KINDS[kind]
    tokenizer = make_tokenizer()
    model = MaskedLanguageModel(make_model(tokenizer), tokenizer)
    assert set(WORDS) <= set(model.words)
    assert not set(model.words) & {"the", "of", "not", "mg", "is"}
    assert all(len(word) > 2 and word.isalpha() for word in model.words)


def test_windows_hold_every_masked_position_once_and_give_it_context():
    rng = np.random.default_rng(0)
    for _ in range(200):
        n, size = int(rng.integers(1, 400)), int(rng.integers(8, 130))
        tokens = list(range(n))
        masked = sorted(rng.choice(n, size=int(rng.integers(1, min(n, 30) + 1)), replace=False).tolist())
        windows = cut_windows(tokens, masked, size)
        assert [window.ids[position] for window in windows for position in window.masked] == masked
        for window in windows:
            assert len(window.ids) == min(n, size)
            assert window.ids == list(range(window.ids[0], window.ids[0] + len(window.ids)))
            for position in window.masked:
                least = min(32, size // 4)
                assert position >= min(least, window.ids[position])
                assert len(window.ids) - position > min(least, n - 1 - window.ids[position])


def test_the_noise_is_gumbel():
    noise = gumbel(np.arange(300, dtype=np.uint64)[:, None], np.arange(300, dtype=np.uint64))
    assert noise.mean() == pytest.approx(0.5772, abs=0.02)
    assert noise.var() == pytest.approx(np.pi**2 / 6, rel=0.03)
    assert abs(np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1]) < 0.02


def test_a_folder_with_a_masked_lm_is_loaded_and_one_without_is_a_configuration_fault(tmp_path):
    folder = write_masked_lm(tmp_path / "masked_lm")
    model = shared_model("contextual_substitution", EncoderSettings(device="cpu"), str(folder))
    assert "movie" in model
    assert shared_model("contextual_insertion", EncoderSettings(device="cpu"), str(folder)) is model
    own = EncoderSettings(name=str(folder), device="cpu")
    assert "movie" in shared_model("contextual_insertion", own, None)
    with pytest.raises(ConfigurationError, match="is no masked language model: its checkpoint lacks"):
        shared_model("contextual_substitution", EncoderSettings(device="cpu"), EncoderSettings().source)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (None, "bert-base-uncased with its commit"),
        ("bert-base-uncased", "a Hub name needs its commit"),
        ("/no/such/folder", "there is no such folder"),
        (7, "expected a folder"),
    ],
)
def test_a_missing_model_is_explained(model, said):
    with pytest.raises(ConfigurationError, match=said):
        shared_model("contextual_substitution", EncoderSettings(), model)


def test_a_head_that_looks_at_other_positions_is_refused():
    tokenizer = wordpiece()
    plain = tiny_bert(tokenizer)

    class Smearing(torch.nn.Module):
        def __init__(self, head):
            super().__init__()
            self.head = head

        def forward(self, hidden):
            return self.head(hidden + hidden.roll(1, dims=1))

    plain.cls = Smearing(plain.cls)
    with pytest.raises(ConfigurationError, match="positions one by one"):
        MaskedLanguageModel(plain, tokenizer)
