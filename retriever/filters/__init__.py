"""Metadata filters.

A filter is one class: how it is written as JSON, which values it accepts, how an index finds its
documents and how a search server is asked for them. ``base`` has what they share, ``algebra`` those
that come with the package.

What a filter means, for all retrievers:

- A field is a key of a document's metadata; a key inside an object is reached by a dotted name,
  ``author.name``. A field with a list has every element as a value. Null, NaN and an empty list
  are no value.
- A filter on a field matches a document when one of the field's values does. Without the field
  it does not, so that ``Not(Equal("year", 2000))`` finds the documents without a year too.
- Values are compared with values of their own kind: strings with strings (by code point), true
  and false with themselves, numbers with numbers, whether integer or not. ``"2000"`` is not 2000,
  and true is not 1.
"""

from twopass.retriever.filters.algebra import And, Equal, Exists, In, Not, Or, Range
from twopass.retriever.filters.base import FieldFilter, Filter, filter_type, matches, parse_filter

__all__ = [
    "And",
    "Equal",
    "Exists",
    "FieldFilter",
    "Filter",
    "In",
    "Not",
    "Or",
    "Range",
    "filter_type",
    "matches",
    "parse_filter",
]
