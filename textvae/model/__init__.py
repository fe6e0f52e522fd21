"""The model: a transformers `PreTrainedModel` and the parts it consists of."""
