"""Playing a scenario from its first step to its verdict."""

from collections.abc import Callable
from dataclasses import dataclass

import httpx

from kommo_simulator.scenario_acts import Actor
from kommo_simulator.scenario_checks import Checker
from kommo_simulator.scenario_file import PlacedStep, Scenario
from kommo_simulator.scenario_stage import Failed, ScenarioStage


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a scenario ended; `failure` names file, line and step, and says why."""

    name: str
    title: str
    passed: bool
    checks: int
    seconds: float
    failure: str | None = None


async def play(scenario: Scenario, url: str, say: Callable[[str], None], patience: float = 1.0) -> Verdict:
    """Play a scenario against the simulator at `url` and return its verdict.

    Args:
        say: takes the transcript, line by line.
        patience: factor on the time that expectations may take.
    """
    async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as control:
        stage = ScenarioStage(control, say, patience)
        stage.started = stage.clock()
        say(f"── {scenario.title} ({scenario.name})")
        checks, failure = await _play(scenario, stage)
        seconds = round(stage.clock() - stage.started, 1)
    say(f"── {'FAILED: ' + failure if failure else 'passed'}; {checks} checks held, {seconds:g} s\n")
    return Verdict(scenario.name, scenario.title, failure is None, checks, seconds, failure)


async def _play(scenario: Scenario, stage: ScenarioStage) -> tuple[int, str | None]:
    actor = Actor(stage, scenario.client)
    checker = Checker(stage, scenario.within_seconds)
    checks, failure = 0, None
    try:
        stage.requests_before = len((await stage.call("GET", "/control/requests"))["requests"])
        for placed in scenario.steps:
            try:
                checks += await _do(placed, actor, checker)
            except Failed as problem:
                failure = f"{scenario.name}:{placed.line}: {placed.verb}: {problem}"
                break
        await actor.clean_up()
    except Failed as problem:
        failure = failure or f"{scenario.name}: {problem}"
    return checks, failure


async def _do(placed: PlacedStep, actor: Actor, checker: Checker) -> int:
    if not placed.verb.startswith("expect_"):
        await actor.act(placed.verb, placed.step)
        return 0
    checker.stage.tell("✓", await checker.check(placed.verb, placed.step))
    return 1
