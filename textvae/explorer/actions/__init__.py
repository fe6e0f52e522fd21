"""What users can do, one class of actions per panel: typed, bounded, and without Gradio.

The page and the API call the same methods. Their arguments come from anybody, so each
method checks them; a `TextVAEError` is the message that the user gets.
"""
