"""A trained run as a part of other libraries: scikit-learn and sentence-transformers."""
