"""The explorer: a page in the browser, or a hosted demo, that shows a trained model at work.

`actions` is what users can do, without Gradio; `panels` and `page` are its components;
`assets` are the parts that run in the browser. `build_app` returns the app, and
`explore` opens it.
"""
