from __future__ import annotations

import nir
import numpy as np
import pytest

import sj_nir
from sj_nir.draft import Draft


def neuron() -> nir.IF:
    return nir.IF(r=np.full(1, 1e4), v_threshold=np.ones(1))


def drafted(*edges: tuple[str, str]) -> Draft:
    """x -> a -> y with further edges into a and y."""
    draft = Draft()
    draft.add("x", nir.Input(np.array([1])))
    draft.add("a", neuron(), ("x", *(source for source, target in edges if target == "a")))
    draft.add("y", nir.Output(np.array([1])), ("a", *(s for s, t in edges if t == "y")))
    return draft


def test_names_stay_apart_and_fit_into_files():
    draft = Draft()
    assert [draft.add(name, neuron()) for name in ("a/b", "a_b", "a_b", "")] == [
        "a_b", "a_b_", "a_b__", "_",
    ]  # fmt: skip


def test_a_loop_closes_with_what_it_stands_for():
    draft = drafted()
    back = draft.open()
    draft.add("w", nir.Linear(np.ones((1, 1))), [back])
    draft.edges.append(("w", "a"))
    draft.close(back, ("a",))
    graph = draft.finished(1e-4)
    assert graph.edges == [("x", "a"), ("a", "y"), ("a", "w"), ("w", "a")]
    assert graph.metadata == {"sj_nir": {"format": 1, "dt": 1e-4}}
    assert not graph.nodes["w"].metadata


def test_a_delay_that_a_reader_would_not_guess_is_stated():
    draft = drafted()
    back = draft.open()
    draft.add("w", nir.Linear(np.ones((1, 1))), ["a"])
    draft.edges.append((back, "a"))
    draft.close(back, ("w",))
    assert draft.finished(1e-4).nodes["a"].metadata == {"sj_nir": {"delayed": {"w": 1}}}


def test_an_edge_is_of_this_step_or_of_the_one_before():
    draft = drafted()
    back = draft.open()
    draft.edges.append((back, "y"))
    draft.close(back, ("a",))
    with pytest.raises(sj_nir.NotSupportedError, match="'y' takes 'a' both of this step and of"):
        draft.finished(1e-4)


def test_two_steps_of_delay_are_refused():
    draft = drafted()
    first, second = draft.open(), draft.open()
    draft.edges.append((first, "a"))
    draft.close(first, (second,))
    draft.close(second, ("a",))
    with pytest.raises(sj_nir.NotSupportedError, match="more than one step of delay"):
        draft.finished(1e-4)
