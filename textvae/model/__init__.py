"""The model: a transformers `PreTrainedModel`, and the parts it is made of."""
