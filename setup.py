"""Packaging of gfn-envs: every field of the metadata. pyproject.toml holds the build system and tool settings only."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
# Read as text: importing gfn_envs would need NumPy and Gymnasium before they are installed.
VERSION = re.search(r'^__version__ = "(.+)"$', (HERE / "gfn_envs" / "__init__.py").read_text("utf-8"), re.M)[1]

#: Address of the repository, such as https://github.com/NAME/gfn-envs. Set it before a release: links of the package's
#: page and its metadata follow from it.
REPOSITORY = ""


def page() -> str:
    """README.md as the page of the package, with absolute links into the repository if its address is known."""
    text = (HERE / "README.md").read_text("utf-8")
    if REPOSITORY:
        text = re.sub(r"(!\[[^\]]*\]\()(?!https?:|#)", rf"\g<1>{REPOSITORY}/raw/v{VERSION}/", text)
        text = re.sub(r"((?<!!)\[[^\]]*\]\()(?!https?:|#)", rf"\g<1>{REPOSITORY}/blob/v{VERSION}/", text)
    return text


def urls() -> dict:
    """Links of the metadata."""
    pages = {"Source": "", "Documentation": f"/tree/v{VERSION}/docs", "Issues": "/issues"}
    pages["Changelog"] = f"/blob/v{VERSION}/CHANGELOG.md"
    return {name: REPOSITORY + page for name, page in pages.items()} if REPOSITORY else {}


EXTRAS = {
    "agents": ["torch>=2.4", "scipy", "filelock", "threadpoolctl", "tqdm", "tyro", "rich", "rapidfuzz", "numba>=0.60"],
    "fast": ["numba>=0.60"],
    "data": ["pooch", "tqdm"],
    "diversity": ["rapidfuzz"],
    "plot": ["matplotlib"],
    "report": ["plotly>=6", "jinja2"],
    "parquet": ["pyarrow"],
    "tensorboard": ["tensorboard"],
    "wandb": ["wandb"],
    "mlflow": ["mlflow-skinny", "sqlalchemy", "alembic"],
    "sb3": ["stable-baselines3", "sb3-contrib"],
    "mols": ["rdkit", "networkx"],
    "rna": ["viennarna"],
    "graphs": ["networkx"],
    "video": ["moviepy"],
    "oracle": ["joblib"],
    "acquire": ["scikit-learn"],
    "botorch": ["botorch"],
    "ray": ["ray"],
    "search": ["optuna"],
    "pareto": ["pymoo"],
}
EXTRAS["all"] = [requirement for extra in EXTRAS.values() for requirement in extra]
EXTRAS["docs"] = [
    "sphinx",
    "furo",
    "myst-nb",
    "sphinx-copybutton",
    "sphinx-mathjax-offline",
    "beautifulsoup4",
    "ipykernel",
]
# RLlib and Tianshou pin versions that are not ours: an environment apart, with constraints-interop.txt.
EXTRAS["interop"] = ["torchrl", "tensordict", "ray[rllib]", "tianshou", "skrl", "sbx-rl", "minari[hdf5]"]
EXTRAS["interop"] += ["mo-gymnasium", *EXTRAS["sb3"], "hypothesis", "pytest", "pytest-timeout", "pytest-xdist"]
EXTRAS["test"] = ["pytest", "pytest-xdist", "pytest-timeout", "hypothesis", "ruff", "mypy", "import-linter"]
EXTRAS["test"] += [
    "scikit-learn",
    "biopython",
    "dendropy",
    "mpmath",
    "mo-gymnasium",
    "pandas",
    "playwright",
    "axe-playwright-python",
    "beautifulsoup4",
]
EXTRAS["test"] += EXTRAS["all"]

setup(
    name="gfn-envs",
    version=VERSION,
    description="Environments for generative flow networks with the Gymnasium API, and agents that learn in them",
    long_description=page(),
    long_description_content_type="text/markdown",
    author="the gfn-envs contributors",
    project_urls=urls(),
    license="MIT",
    license_files=["LICENSE"],
    keywords=["GFlowNet", "generative flow networks", "gymnasium", "reinforcement learning", "sampling"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    python_requires=">=3.10",
    install_requires=["gymnasium>=1.1,<2", "numpy>=1.24"],
    extras_require=EXTRAS,
    py_modules=["gfn_command"],
    packages=find_packages(include=["gfn_envs", "gfn_envs.*", "agents", "agents.*"]),
    package_data={
        "gfn_envs": ["py.typed", "data/*.npz", "data/*.json", "data/*.md"],
        "agents": ["py.typed", "report/*.html", "report/*.css", "report/*.js"],
    },
    entry_points={"console_scripts": ["gfn = gfn_command:main", "gfn-envs = gfn_envs.cli:main"]},
    zip_safe=False,
)
