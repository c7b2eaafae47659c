"""Sphinx: pages in Markdown, a page a class from the docstrings, a gallery of examples that run while it is built."""

import sys
from pathlib import Path

from numpydoc.xref import DEFAULT_LINKS

import skal

sys.path.insert(0, str(Path(__file__).parent))  # of api_names and gallery_state
from api_names import public_classes

project = "skal"
author = "the skal developers"
release = version = skal.__version__
extensions = [
    "api_pages",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates"]

# Pages
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def setup(app):
    app.connect("source-read", close_up_code)


def close_up_code(app, docname, source):
    """Doctest wants an empty line below its last output, a reader does not."""
    source[0] = source[0].replace("\n\n```\n", "\n```\n")


# The API
autodoc_typehints = "none"
autodoc_class_signature = "mixed"
autosummary_generate = False  # api_pages writes the pages
numpydoc_show_class_members = False
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"
numpydoc_xref_aliases = {name: name for name in DEFAULT_LINKS} | public_classes()  # links to skal's own pages only
default_role = "name"
toc_object_entries_show_parents = "hide"

# Cross-references
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"sklearn\..*")]

# The gallery; examples/index.rst has its order
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "copyfile_regex": r"index\.rst",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"(^|/)(?!plot_)[^/]*\.py$",
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("skal",),
    "abort_on_example_error": True,
    "show_memory": False,
    "write_computation_times": False,
    "capture_repr": ("_repr_html_",),
    "reset_modules": ("matplotlib", "gallery_state.reset"),
    "minigallery_sort_order": "gallery_state.place_in_gallery",
    "image_srcset": ["2x"],
    "remove_config_comments": True,
}

# The theme
html_theme = "pydata_sphinx_theme"
html_title = "skal"
html_theme_options = {"navbar_align": "left", "show_toc_level": 2, "footer_start": ["copyright"], "footer_end": []}
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_sidebars = {"index": [], "getting_started": [], "folder_to_model": []}
