"""How Sphinx makes the site of these pages: `make docs`. They are plain Markdown and read as well without it."""

from importlib.metadata import PackageNotFoundError, version

project = "Redoubt"
copyright = "the Redoubt authors"  # noqa: A001 - Sphinx's name for it
extensions = ["myst_parser"]
exclude_patterns = ["adr/template.md"]
html_theme = "furo"
html_title = "Redoubt"
html_copy_source = False
html_show_sphinx = False

try:
    release = version("redoubt")
except PackageNotFoundError:  # The site needs none of our packages installed.
    release = ""

# Links to headings are written as GitHub makes their anchors.
myst_heading_anchors = 4
# An interpreter of diagrams would be a program from elsewhere: their source is shown.
highlight_language = "text"
suppress_warnings = [
    "misc.highlighting_failure",  # `mermaid` is no language that Pygments knows
    "toc.empty_glob",  # a part of the navigation whose pages are still to be written
]
