"""Settings of the documentation: `python -m sphinx -W -b html docs build/docs`.

Tutorials are shown as they stand in `tutorials/`, without running them. With LFI_DOCS_EXECUTE=1 in
the environment they are run first (about an hour on two cores) and shown with their figures.
"""

import os
import shutil
import sys
from pathlib import Path

from sphinx.application import Sphinx

import lfi

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))
from api_pages import legible, legible_attributes, plain_text, write_pages  # noqa: E402

project = "lfi"
author = "the authors of lfi"
release = version = lfi.__version__
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["conf.py", "api_pages.py", "_build"]
default_role = "py:obj"  # `name` is a link where the name is documented, code elsewhere

html_theme = "furo"
html_title = f"lfi {release}"
html_show_copyright = False
html_extra_path = ["llms.txt"]

nb_custom_formats = {".py": "api_pages.read_tutorial"}
nb_execution_mode = "force" if os.environ.get("LFI_DOCS_EXECUTE") else "off"
nb_execution_timeout = -1
nb_execution_raise_on_error = True
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3

autoclass_content = "class"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autosummary_generate = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False


def setup(app: Sphinx) -> None:
    """Bring the tutorials and the pages of the API into the folder of sources."""
    tutorials = HERE / "tutorials"
    tutorials.mkdir(exist_ok=True)
    for path in sorted((ROOT / "tutorials").glob("*.py")):
        shutil.copyfile(path, tutorials / path.name)
    write_pages(HERE / "api")
    app.connect("autodoc-process-signature", legible)
    app.connect("autodoc-process-docstring", plain_text, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", legible_attributes, priority=600)
