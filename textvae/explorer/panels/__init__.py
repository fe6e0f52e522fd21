"""The panels of the page, one per file: components, and which action fills which of them."""
