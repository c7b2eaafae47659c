"""Sphinx: pages in Markdown, a page a class from the docstrings, a gallery of examples that run while it is built."""

import skal

project = "skal"
author = "the skal developers"
release = version = skal.__version__
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]

# Pages
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# The API
autodoc_default_options = {
    "members": True,
    "imported-members": True,
    "inherited-members": "BaseEstimator, ClassifierMixin, _SetOutputMixin, _MetadataRequester, CallbackSupportMixin",
    "exclude-members": "set_fit_request, set_score_request, set_predict_request",
}
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

# The gallery
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"(^|/)(?!plot_)[^/]*\.py$",
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("skal",),
    "abort_on_example_error": True,
    "show_memory": False,
}

# The theme
html_theme = "pydata_sphinx_theme"
html_title = "skal"
html_theme_options = {"navbar_align": "left", "show_toc_level": 2, "footer_start": ["copyright"], "footer_end": []}
html_show_sourcelink = False
