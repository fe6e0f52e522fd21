"""A run inside other libraries: scikit-learn and sentence-transformers."""
