"""Sphinx: pages in Markdown, the API from the docstrings of everything in `__all__`."""

import skal

project = "skal"
author = "the skal developers"
release = version = skal.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
autodoc_default_options = {
    "members": True,
    "imported-members": True,
    "inherited-members": "BaseEstimator, ClassifierMixin, _SetOutputMixin, _MetadataRequester, CallbackSupportMixin",
    "exclude-members": "set_fit_request, set_score_request, set_predict_request",
}
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing"]
