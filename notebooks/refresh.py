"""Run notebooks and store their outputs: `.venv/bin/python notebooks/refresh.py [NOTEBOOK ...]`.

Without arguments all notebooks run. Two runs write the same file (apart from measured times), so a
diff shows which results changed: the file has no timestamps, no widget state and no Python version,
and widgets are numbered because their own ids are random.
"""

import os
import re
import sys
from pathlib import Path

ENVIRONMENT = {"JAX_PLATFORMS": "cpu", "PYTHONHASHSEED": "0", "TQDM_DISABLE": "1"}
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def refresh(path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    notebook.metadata = nbformat.from_dict(METADATA)
    client = NotebookClient(
        notebook,
        timeout=120,
        coalesce_streams=True,  # Otherwise the chunks of printed text differ from run to run.
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    notebook.metadata = nbformat.from_dict(METADATA)
    path.write_text(number_widgets(nbformat.writes(notebook)) + "\n", encoding="utf-8")


def number_widgets(text: str) -> str:
    ids = dict.fromkeys(re.findall(r'"model_id": "([0-9a-f]{32})"', text))
    for number, model_id in enumerate(ids):
        text = text.replace(model_id, f"{number:032x}")
    return text


if __name__ == "__main__":
    os.environ |= ENVIRONMENT
    named = [Path(name) for name in sys.argv[1:]]
    for path in named or sorted(Path(__file__).parent.glob("*.ipynb")):
        print(path.name)
        refresh(path)
