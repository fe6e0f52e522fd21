"""The table of a comparison in several formats, and HTML reports of a comparison or of one run.

table.py            the rows, columns and cells of the table
formats.py          the table as Markdown, LaTeX and CSV
model_summary.py    samples, reconstructions and points in latent space of one model
page.py, page.html  the HTML reports
plots.py            the style of their pictures
pictures.py         training curves, maps of the latent, the KL of each dimension
rate_distortion.py  the rate-distortion plane
remarks.py          what is doubtful about the measures of a table
"""
