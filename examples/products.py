"""Answer questions over a CSV file: python examples/products.py products.csv "a warm hat".

The file needs a header; --id, --text and --title name its columns. The index is kept beside the
file and made anew only when the file is newer.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from twopass import BM25Index, CrossEncoder, SearchPipeline, fusion, read_documents
from twopass.retriever.corpus import FieldNames


def opened(table: Path, fields: FieldNames) -> BM25Index:
    """Open the table's index, made anew where the table changed."""
    folder = table.with_suffix(".index")
    if folder.exists() and folder.stat().st_mtime >= table.stat().st_mtime:
        return BM25Index.open(folder)
    return BM25Index.build(read_documents(table, fields=fields), folder, overwrite=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path)
    parser.add_argument("question")
    parser.add_argument("--id", default="id")
    parser.add_argument("--text", default="text")
    parser.add_argument("--title", default="title")
    arguments = parser.parse_args()
    fields = FieldNames(id=arguments.id, text=arguments.text, title=arguments.title)
    with opened(arguments.table, fields) as index:
        search = SearchPipeline(index, CrossEncoder(), fusion("weighted", weights=[0.3, 0.7]))
        for hit in search.search(arguments.question, k=5).to_dicts():
            document = index.get(hit["id"])
            print(f"{hit['fused']:.3f}  {document.id}  {document.title}: {document.text[:60]}")


if __name__ == "__main__":
    main()
