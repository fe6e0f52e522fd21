"""A loaded model at work: text to q(z|x), z to text, and log p(x)."""
