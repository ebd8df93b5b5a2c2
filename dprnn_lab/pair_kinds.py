"""Who is mixed with whom: two women, a man and a woman, a voice of the training and one that is not in it.

Notebook: 04_data
"""

import itertools
from collections.abc import Collection, Mapping

__all__ = ["PAIR_KINDS", "pair_kind", "pairs_by_kind"]

PAIR_KINDS = ("man-woman", "woman-woman", "seen-unseen")  # of the bundled test mixtures


def pair_kind(first_sex: str | None, second_sex: str | None) -> str:
    """ "man-woman", "woman-woman" or "man-man"; "any" where a sex is not known (None).

    >>> pair_kind("f", "m")
    'man-woman'
    """
    if not {first_sex, second_sex} <= {"f", "m", None}:
        raise ValueError(
            f"the sexes are {first_sex!r} and {second_sex!r}: each must be 'f' or 'm', or None where not known"
        )
    if None in (first_sex, second_sex):
        return "any"
    return {"ff": "woman-woman", "mm": "man-man"}.get(first_sex + second_sex, "man-woman")


def pairs_by_kind(
    sexes: Mapping[str, str | None], unseen: Collection[str] = ()
) -> dict[str, list[tuple[str, str]]]:
    """Every pair of different speakers under its kind.

    Args:
        sexes: speaker to "f", "m" or None.
        unseen: speakers whose pairs with all others are "seen-unseen", whatever their sexes.

    >>> pairs_by_kind({"ada": "f", "bea": "f", "carl": "m"}, unseen={"bea"})
    {'seen-unseen': [('ada', 'bea'), ('bea', 'carl')], 'man-woman': [('ada', 'carl')]}
    """
    pairs: dict[str, list[tuple[str, str]]] = {}
    for a, b in itertools.combinations(sorted(sexes), 2):
        kind = "seen-unseen" if (a in unseen) != (b in unseen) else pair_kind(sexes[a], sexes[b])
        pairs.setdefault(kind, []).append((a, b))
    return pairs
