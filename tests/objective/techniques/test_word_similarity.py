"""The similarity of states that follows that of words."""

import math

import pytest
import torch

from tests.objective.techniques.test_techniques import MIDDLE, technique
from tests.tiny import BOS, EOS, LATENT, UNKNOWN, VOCAB, draws, tiny_batch, tiny_model
from textvae.model.modeling import TextVAEOutput

IGNORED = -100


def penalty_of(pooled, labels, **settings):
    """Return the penalty of states with these labels, for a fresh technique."""
    part = technique("word_similarity", **settings)
    return part.penalty(TextVAEOutput(pooled=pooled), {"labels": torch.tensor(labels)}, MIDDLE)


def test_the_penalty_is_the_mean_squared_difference_of_the_cosines():
    """Two sentences without a common token have a cosine of 0; opposite states have -1."""
    pooled = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert penalty_of(pooled, [[5, EOS], [6, EOS]], weight=3.0).item() == pytest.approx(3.0)


def test_sentences_with_the_same_words_in_any_order_should_have_equal_states():
    """Their TF-IDF vectors are equal, so equal states cost nothing next to a third sentence."""
    labels = [[5, 6, EOS], [6, 5, EOS], [7, 8, EOS]]
    equal = torch.tensor([[1.0, 1.0], [1.0, 1.0], [-2.0, -2.0]])
    different = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    assert penalty_of(equal, labels) < penalty_of(different, labels)


def test_a_rare_word_counts_more_than_a_frequent_one():
    """All sentences have the token 5, two also share 6: these are the most similar."""
    part = technique("word_similarity")
    counts = part.count_tokens(torch.tensor([[5, 6], [5, 6], [5, 7], [5, 8]]))
    part.documents.add(counts)
    weights = part.documents.inverse_frequencies()
    assert weights[5] == pytest.approx(0.0)
    assert weights[6] == pytest.approx(math.log(5 / 3))
    assert weights[7] == pytest.approx(math.log(5 / 2))
    assert weights[9] == pytest.approx(math.log(5))


def test_special_tokens_and_padding_do_not_count():
    """Only the three words of the first sentence, one of them twice, are counted."""
    labels = torch.tensor([[5, 6, 5, UNKNOWN, EOS], [BOS, EOS, IGNORED, IGNORED, IGNORED]])
    counts = technique("word_similarity").count_tokens(labels)
    assert counts[0, 5] == 2
    assert counts[0, 6] == 1
    assert counts.sum() == 3


def test_moving_or_scaling_all_states_changes_nothing():
    """Only their directions from their common center are compared."""
    labels = [[5, 6], [6, 7], [8, 9], [5, 9]]
    states = draws(4, 7)
    torch.testing.assert_close(
        penalty_of(3 * states + 5, labels), penalty_of(states, labels), rtol=1e-4, atol=1e-5
    )


def test_descending_the_penalty_makes_similar_sentences_similar():
    """The gradient moves the states until their order of similarity is that of the words."""
    labels = torch.tensor([[5, 6, 7], [5, 6, 8], [9, 10, 11], [9, 10, 12]])
    states = draws(4, 6).requires_grad_()
    part = technique("word_similarity")
    optimizer = torch.optim.Adam([states], lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        part.penalty(TextVAEOutput(pooled=states), {"labels": labels}, MIDDLE).backward()
        optimizer.step()
    centered = torch.nn.functional.normalize(states.detach() - states.detach().mean(0), dim=1)
    similarity = centered @ centered.T
    assert similarity[0, 1] > max(similarity[0, 2], similarity[0, 3]) + 0.1
    assert similarity[2, 3] > max(similarity[2, 0], similarity[2, 1]) + 0.1


def test_counts_of_documents_are_part_of_the_checkpoint():
    """A resumed run goes on with the frequencies that it had."""
    part = technique("word_similarity")
    part.documents.add(part.count_tokens(torch.tensor([[5, 6], [5, 7]])))
    resumed = technique("word_similarity")
    resumed.module.load_state_dict(part.module.state_dict())
    torch.testing.assert_close(
        resumed.documents.inverse_frequencies(), part.documents.inverse_frequencies()
    )
    assert len(part.documents.by_token) == VOCAB


def test_the_model_returns_the_states_that_the_posterior_was_computed_from():
    """The head of the posterior maps them to the mean of the same pass."""
    model = tiny_model()
    output = model(**tiny_batch())
    torch.testing.assert_close(model.posterior.head(output.pooled).mean, output.mean)
    assert output.mean.shape[1] == LATENT
    batch = tiny_batch()
    del batch["encoder_input_ids"], batch["encoder_attention_mask"]
    assert model(**batch, latent=output.latent).pooled is None
