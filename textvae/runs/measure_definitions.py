"""The measures of an evaluation, for a reader of the model card: title, unit and definition.

docs/measures.md explains them further.
"""

from typing import NamedTuple


class MeasureDefinition(NamedTuple):
    """What a measure is.

    Attributes:
        title: its name, with its unit.
        definition: how it is computed, as a phrase.
    """

    title: str
    definition: str


def _describe_texts(kind: str, which: str) -> dict[str, MeasureDefinition]:
    """Return the measures of what is wrong with texts of one kind."""
    share = f"share of {which}"
    return {
        f"empty_{kind}": MeasureDefinition(f"empty {kind}", f"{share} without a word"),
        f"identical_{kind}": MeasureDefinition(
            f"identical {kind}", f"{share} that equal the most frequent one"
        ),
        f"repetitive_{kind}": MeasureDefinition(
            f"repetitive {kind}",
            f"{share} in which most pairs of adjacent tokens occurred before",
        ),
        f"endless_{kind}": MeasureDefinition(
            f"endless {kind}",
            f"{share} that reach the length of the longest sentence without an end",
        ),
    }


_DEFINITIONS = {
    "sentences": ("sentences", "number of sentences that were evaluated"),
    "words_per_sentence": (
        "words per sentence",
        "white-space words, plus one for the end",
    ),
    "tokens_per_sentence": ("tokens per sentence", "tokens, plus one for the end"),
    "elbo": (
        "ELBO, with the KL at weight 1, nats per sentence",
        "-(reconstruction + KL): a lower bound on log p(x)",
    ),
    "reconstruction": (
        "reconstruction, nats per sentence",
        "-log p(x | z), with one z sampled from q(z | x)",
    ),
    "kl": ("KL at weight 1, nats per sentence", "KL(q(z | x) ‖ p(z))"),
    "kl_before_refit": (
        "KL before the posterior was refitted, nats per sentence",
        "the KL on validation sentences before the last phase of training",
    ),
    "kl_target": ("target of the KL, nats per sentence", "the KL that training aimed at"),
    "kl_weight": (
        "weight of the KL in the loss at the end of training, before a refit",
        "the factor by which the KL counted; the measures, and a refit, have the KL at weight 1",
    ),
    "iw_nll": (
        "IW-NLL, nats per sentence",
        "importance-weighted negative log-likelihood: an upper bound on -log p(x)",
    ),
    "iw_nll_stderr": (
        "standard error of the IW-NLL over sentences, nats",
        "how much another test set would change it",
    ),
    "iw_mc_stderr": (
        "Monte Carlo standard error of the IW-NLL, nats",
        "how much other draws of z would change it",
    ),
    "iw_looseness": (
        "looseness of the IW-NLL, nats per sentence, estimated",
        "how far the IW-NLL is above -log p(x)",
    ),
    "iw_looseness_stderr": (
        "standard error of the looseness, nats",
        "how precise the estimate of the looseness is",
    ),
    "iw_samples": ("importance samples per sentence", "draws of z per sentence for the IW-NLL"),
    "iw_ess": (
        "their effective sample size, mean",
        "(sum w)² / sum w² of a sentence's importance weights",
    ),
    "iw_ess_median": (
        "their effective sample size, median",
        "below 10, the IW-NLL is too high and how much is only estimated",
    ),
    "iw_width": ("width of the proposal", "mean factor of the proposal's width; 1: not fitted"),
    "ppl_word": ("perplexity per word", "exp(IW-NLL / words), ends included"),
    "ppl_token": (
        "perplexity per token",
        "exp(IW-NLL / tokens); not comparable between tokenizers",
    ),
    "bits_per_byte": ("bits per byte", "IW-NLL / ln 2 / UTF-8 bytes of the text"),
    "mi_full": (
        "mutual information, nats",
        "I(x; z) over the whole set, at most ln of its number of sentences",
    ),
    "mi_full_cap": ("cap of the mutual information, nats", "ln of the number of sentences"),
    "mi_batch32": (
        "mutual information in batches of 32, nats",
        "as He et al. 2019 report it, at most ln 32",
    ),
    "mi_batch32_cap": ("cap of the mutual information in batches, nats", "ln 32 = 3.47"),
    "mi_lower": (
        "mutual information, lower end, nats",
        "of a bracket that depends less on the set",
    ),
    "mi_upper": (
        "mutual information, upper end, nats",
        "of a bracket that depends less on the set",
    ),
    "aggregate_kl": ("aggregate KL, nats", "KL(q(z) ‖ p(z)) of the aggregate posterior"),
    "aggregate_kl_stderr": ("standard error of the aggregate KL, nats", "over draws of z"),
    "aggregate_kl_lower": ("aggregate KL, lower end, nats", "of a bracket"),
    "aggregate_kl_upper": ("aggregate KL, upper end, nats", "of a bracket"),
    "aggregate_sentences": (
        "posteriors of the aggregate",
        "number of posteriors in q(z) for the bracket",
    ),
    "kl_sampled": ("KL by sampling, nats", "the KL on the draws of the aggregate KL"),
    "active_units": (
        "active units, at a variance of 0.01",
        "dimensions whose posterior mean varies by at least 0.01 over the set",
    ),
    "active_units_strict": (
        "active units, at a variance of 0.1",
        "dimensions whose posterior mean varies by at least 0.1 over the set",
    ),
    "latent_dim": ("latent dimensions", "size of z"),
    "effective_units": (
        "effective number of units",
        "how many equally informative units would be spread as these are",
    ),
    "beyond_ten_share": (
        "information beyond ten units",
        "share of the information in all units but the ten best ones",
    ),
    "shuffled_latent_increase": (
        "cost of shuffled latents, nats per sentence",
        "how much the reconstruction term rises with another sentence's z",
    ),
    "token_accuracy": (
        "token accuracy",
        "share of tokens that are the decoder's first choice, after the correct ones before",
    ),
    "bleu": (
        "reconstruction BLEU",
        "sacrebleu's BLEU of greedy reconstructions from the posterior mean",
    ),
    "exact_match": ("exact reconstructions", "share of reconstructions without any difference"),
    "identical_originals": (
        "identical sentences",
        "share of the evaluated sentences that equal the most frequent one",
    ),
    "repetitive_originals": (
        "repetitive sentences",
        "share of the evaluated sentences in which most pairs of tokens occurred before",
    ),
    "training_sentences": ("training sentences", "number of training sentences"),
    "left_out_share": ("rows left out", "share of the corpus that cleaning left out"),
    "cut_share": ("sentences cut", "share of the sentences that were cut at the length limit"),
    "unknown_share": (
        "unknown tokens",
        "share of unknown tokens, in the split that has most of them",
    ),
    "copied_share": ("copies", "share of training sentences that are copies of others"),
    "most_copied_share": (
        "copies of one sentence",
        "share of training sentences that are the most frequent one",
    ),
    "shared_share": (
        "held-out sentences in training",
        "share of the validation or the test split that is also trained on",
    ),
    "retokenized_share": (
        "sentences tokenized otherwise",
        "share of sentences whose stored tokens are not those of the tokenizer",
    ),
    "trigram_nll": (
        "cost of a sentence under a trigram model of the same tokens, nats",
        "-log p(x) of a trigram model, nats per sentence",
    ),
    "model_nll": (
        "cost of a sentence, to compare with the next row, nats",
        "an upper bound on -log p(x) of the model on the sentences of the trigram model",
    ),
    "model_nll_stderr": (
        "standard error of the difference of these costs, nats",
        "over sentences",
    ),
    "sample_token_nll": (
        "cost of samples per token, nats",
        "under a trigram model of the training text",
    ),
    "real_token_nll": (
        "cost of real sentences per token, nats",
        "under a trigram model of the training text",
    ),
    "training_cost": ("cost of training sentences, nats", "-ELBO of 200 training sentences"),
    "held_out_cost": ("cost of held-out sentences, nats", "-ELBO of the evaluated sentences"),
    "elbo_fall": (
        "fall of the ELBO in training, nats",
        "how far the saved model's validation ELBO was below the best one until then",
    ),
    "elbo_change": (
        "change of the ELBO since training, nats",
        "validation ELBO now, minus that when training saved the model",
    ),
    "prior_gap": (
        "gap between latents and prior, nats",
        "lower bound on KL(q(z) ‖ p(z)), from the means and variances of the latents",
    ),
    "prior_samples": ("samples from the prior", "number of samples"),
    "prior_words_per_sentence": (
        "words per sample",
        "mean length of the samples, the end included",
    ),
    **{
        f"distinct_{n}{real}": (
            f"distinct {n}-grams of {which}",
            f"different {n}-grams / {n}-grams (Li et al. 2016)",
        )
        for real, which in (("", "samples"), ("_real", "real sentences"))
        for n in (1, 2, 3, 4)
    },
    "self_bleu": ("self-BLEU of samples", "their similarity to each other; lower is more diverse"),
    "self_bleu_real": ("self-BLEU of real sentences", "the same of as many real sentences"),
    "self_bleu_samples": ("samples for self-BLEU", "number of texts that are compared"),
    "forward_ppl": (
        "forward perplexity",
        "of the samples, under a 5-gram model of the training text",
    ),
    "reverse_ppl": (
        "reverse perplexity",
        "of the evaluated sentences, under a 5-gram model of the samples",
    ),
    "forward_ppl_real": (
        "forward perplexity of real sentences",
        "of the evaluated sentences, under a 5-gram model of the training text",
    ),
    "reverse_ppl_real": (
        "reverse perplexity of real sentences",
        "of the evaluated sentences, under a 5-gram model of as many training sentences",
    ),
    "forward_unknown": ("forward unknown words", "share of words that the n-gram model lacks"),
    "reverse_unknown": ("reverse unknown words", "share of words that the n-gram model lacks"),
    "ngram_order": ("order of the n-gram models", "number of words in an n-gram"),
    "ngram_sentences": ("sentences of the n-gram model", "number of training sentences in it"),
    "novel": ("novel samples", "share of samples that do not equal a training sentence"),
    "novel_real": (
        "novel real sentences",
        "share of evaluated sentences that do not equal a training sentence",
    ),
    "seen_4grams_real": (
        "seen 4-grams of real sentences",
        "mean share of an evaluated sentence's 4-grams that training text has",
    ),
    "seen_4grams": ("seen 4-grams", "mean share of a sample's 4-grams that training text has"),
    "mauve": ("MAUVE", "of samples and evaluated sentences (Pillutla et al. 2021)"),
    "smoothness": (
        "smoothness of interpolations",
        "mean over paths; docs/measures.md defines it",
    ),
    "smoothness_min": ("smoothness, smallest", "of the paths"),
    "smoothness_max": ("smoothness, largest", "of the paths"),
    "path_pairs": ("interpolation paths", "number of paths"),
    "path_steps": ("steps of a path", "number of sentences on each path"),
    "path_ppl": ("perplexity along the paths", "of the sentences between the ends"),
    "path_ends_ppl": ("perplexity of the ends", "of the sentences at the ends of the paths"),
}

MEASURE_DEFINITIONS: dict[str, MeasureDefinition] = {
    **{name: MeasureDefinition(*entry) for name, entry in _DEFINITIONS.items()},
    **_describe_texts("reconstructions", "the first 64 reconstructions"),
    **_describe_texts("samples", "64 samples from the prior"),
}

# Those that the table in the card shows, in this order; its metadata has all of them.
CARD_MEASURES = (
    "elbo",
    "reconstruction",
    "kl",
    "kl_before_refit",
    "kl_weight",
    "iw_nll",
    "iw_looseness",
    "iw_samples",
    "iw_ess",
    "iw_ess_median",
    "ppl_word",
    "bits_per_byte",
    "mi_full",
    "active_units",
    "active_units_strict",
    "effective_units",
    "bleu",
    "shuffled_latent_increase",
)

# What only the evaluation of a run has, with its corpus.
RUN_MEASURES = ("model_nll", "trigram_nll")
