"""``backbeam memory``: what a gradient will take, by every adjoint, before anything runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from backbeam.cli.options import (
    gradient_options,
    load_problem,
    naming,
    problem_options,
    showing_progress,
    split_names,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbeam.adjoint import Adjoint
    from backbeam.memory import Choice, Model, Needs
    from backbeam.problem import Problem
    from backbeam.problem.measuring import Measurement


@click.command("memory")
@problem_options
@gradient_options
@click.option(
    "--adjoints", metavar="NAMES", multiple=True, help="Some of reversible, store, checkpoint, tape; else all."
)
@click.option("--budget", metavar="SIZE", help="Name the fastest adjoint that fits in so much memory, such as 8GiB.")
@click.option("--measure", is_flag=True, help="Make each gradient in a process of its own, and see.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def command(
    name: str,
    backend: str | None,
    device: str | None,
    dtype: str | None,
    seed: int | None,
    overrides: tuple[str, ...],
    objective: str | None,
    wrt: tuple[str, ...],
    adjoints: tuple[str, ...],
    budget: str | None,
    measure: bool,
    as_json: bool,
) -> int:
    """Say how much memory a gradient of PROBLEM takes by each adjoint, and which fits.

    The peak is what the gradient adds to what is there before: the beam and the libraries. Nothing runs, and no device
    is needed, but for --measure. The exit code is 1 if no adjoint fits in the budget, 2 for bad input.
    """
    with naming(name), showing_progress() as tell:
        from backbeam.memory import choose
        from backbeam.memory.amounts import parse_bytes
        from backbeam.memory.forecast import forecast

        limit = None if budget is None else parse_bytes(budget)
        problem = load_problem(name, overrides, backend, device, dtype, seed)
        tell("reading the plan")
        model = forecast(problem)
        needs = [model.needs(adjoint) for adjoint in chosen_adjoints(model, problem, split_names(adjoints))]
        choice = None if limit is None else choose(model, limit)
        default = of_itself(model)
        seen, skipped = measured(problem, needs, objective, split_names(wrt), tell) if measure else ({}, {})
    if as_json:
        click.echo(json.dumps(summary(problem, model, needs, choice, default, seen, skipped), allow_nan=False))
    else:
        from backbeam.cli.memory_table import print_memory

        print_memory(problem, model, needs, choice, default, seen, skipped)
    return 1 if choice is not None and choice.recommended is None else 0


def of_itself(model: Model) -> Adjoint | None:
    """The one that a gradient takes unless told otherwise, with what is free here now; None where nobody can say."""
    from backbeam.errors import BackbeamError
    from backbeam.memory.planner import of_free
    from backbeam_backends.host_memory import free_memory

    free = free_memory() if model.host is not None else None
    try:
        return None if free is None else of_free(model, free)
    except BackbeamError:  # nothing fits
        return None


def chosen_adjoints(model: Model, problem: Problem, names: list[str] | None) -> list[Any]:
    """Adjoints to look at; the one that the problem names has its settings."""
    from backbeam.adjoint import adjoint_named
    from backbeam.errors import InputError
    from backbeam.problem.differentiation import adjoint_of_problem

    known = {adjoint.name: adjoint for adjoint in model.adjoints()}
    asked = adjoint_of_problem(problem)
    if asked.name in known:
        known[asked.name] = asked
    for name in names or ():
        if name not in known:
            adjoint_named(name)
            raise InputError("adjoints", name, f"some of {', '.join(known)}")
    return [known[name] for name in names or known]


def measured(
    problem: Problem, needs: list[Needs], objective: str | None, wrt: list[str] | None, tell: Callable[[str], None]
) -> tuple[dict[str, Measurement], dict[str, str]]:
    """What each adjoint takes in a process of its own; and why one was not tried."""
    from backbeam.memory.amounts import show_bytes
    from backbeam.memory.planner import ROOM
    from backbeam.problem.measuring import measure
    from backbeam_backends.host_memory import tightest

    section = problem.gradient
    asked = objective or section.objective or "sigma_x"
    names = tuple(wrt or section.wrt or ("beam.charge",))
    on_host = (problem.settings.device or "cpu").startswith("cpu")
    seen, skipped = {}, {}
    for need in needs:
        free = tightest() if on_host else None
        if free is not None and need.predicted_peak_bytes > ROOM * free.bytes:
            skipped[need.adjoint.name] = f"not tried: {show_bytes(free.bytes)} are free, says {free.limit}"
            continue
        tell(f"measuring {need.adjoint.name}")
        seen[need.adjoint.name] = measure(problem, need.adjoint, objective=asked, wrt=names)
    return seen, skipped


def summary(
    problem: Problem,
    model: Model,
    needs: list[Needs],
    choice: Choice | None,
    default: Adjoint | None,
    seen: dict[str, Measurement],
    skipped: dict[str, str],
) -> dict[str, Any]:
    """What ``--json`` prints: bytes, and None where there is nothing to say."""
    run, any_needs = problem.settings, needs[0]
    best = choice.recommended if choice is not None else None
    return {
        "backend": run.backend,
        "device": run.device,
        "dtype": run.dtype,
        "particles": any_needs.particles,
        "cells": any_needs.cells,
        "kicks": any_needs.kicks,
        "coefficients_of": model.coefficients.setup,
        "model": {
            need.adjoint.name: {
                "bytes_per_particle_per_kick": need.bytes_per_particle_per_kick,
                "bytes_per_cell_per_kick": need.bytes_per_cell_per_kick,
                "bytes_per_particle_working": need.bytes_per_particle_working,
                "bytes_per_cell_working": need.bytes_per_cell_working,
                "kept_bytes": round(need.kept_bytes),
                "working_bytes": round(need.working_bytes),
                "predicted_peak_bytes": need.predicted_peak_bytes,
                "relative_time": need.relative_time,
                "settings": settings(need),
            }
            for need in needs
        },
        "measured": {
            name: {
                "peak_bytes": found.peak_bytes,
                "process_peak_bytes": found.process_bytes,
                "process_before_bytes": found.before_bytes,
                "seconds": found.seconds,
            }
            for name, found in seen.items()
        },
        "skipped": skipped,
        "budget_bytes": None if choice is None else choice.budget_bytes,
        "recommended": None if best is None else best.adjoint.name,
        "recommended_settings": None if best is None else settings(best),
        "default": None if default is None else default.name,
        "short_by_bytes": None if choice is None else choice.short_by,
    }


def settings(need: Needs) -> dict[str, Any]:
    """Slots or anchors of an adjoint."""
    return need.adjoint.options()
