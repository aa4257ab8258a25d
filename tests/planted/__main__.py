"""`python -m tests.planted`: which planted bugs are found, in how many seeds, by which check.

It writes docs/planted-bugs.md and tests/planted/kept.json. What has been run is kept by a digest of
the sources, so a command that was stopped goes on from there, and none goes on from other code.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from statistics import median

import xxhash
from joblib import Parallel, delayed

from tests.planted.bugs import BUGS
from tests.planted.trial import attempt, shrunk
from vectorkit.progress import progress

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".pytest_cache" / "planted"
PAGE = ROOT / "docs" / "planted-bugs.md"
KEPT = Path(__file__).with_name("kept.json")
LAYERS = ("kernels", "collections", "store", "replication", "sim")
BATCH = 20
BEGIN, END = "<!-- the scoreboard begins -->", "<!-- the scoreboard ends -->"
SHRUNK_BEGIN, SHRUNK_END = "<!-- the shrunk begin -->", "<!-- the shrunk end -->"


def digest_of_sources():
    """A digest of all that a trial depends on."""
    hasher = xxhash.xxh3_64()
    paths = [*(ROOT / "tests/planted").glob("*.py"), *(ROOT / "vectorkit").glob("*.py")]
    for layer in LAYERS:
        paths += (ROOT / "vectorkit" / layer).rglob("*.py")
    for path in sorted(paths):
        hasher.update(path.read_bytes())
    return hasher.hexdigest()


def known(path):
    """What has been run already; a line that was cut off by a kill is run again."""
    found = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            trial = json.loads(line)
        except ValueError:
            continue
        found[trial["bug"], trial["seed"], trial["is_planted"]] = trial
    return found


def run_all(bugs, seeds, sound_seeds, jobs):
    """Every bug over its seeds, and the sound protocol on some of the same scenarios."""
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / f"{digest_of_sources()}.jsonl"
    found = known(path)
    wanted = [
        (bug.name, seed, is_planted)
        for bug in bugs
        for is_planted, count in ((True, seeds), (False, sound_seeds))
        for seed in range(count)
    ]
    missing = [each for each in wanted if each not in found]
    batches = [missing[at : at + BATCH] for at in range(0, len(missing), BATCH)]
    work = Parallel(n_jobs=jobs, return_as="generator_unordered")
    with path.open("a") as file, progress("trials", total=len(missing), unit="run") as bar:
        for trials in work(delayed(attempt)(batch) for batch in batches):
            for trial in trials:
                file.write(json.dumps(trial) + "\n")
                found[trial["bug"], trial["seed"], trial["is_planted"]] = trial
                bar.step()
            file.flush()
    return [found[each] for each in wanted]


def scored(bug, trials):
    """One row of the scoreboard."""
    planted = [each for each in trials if each["bug"] == bug.name and each["is_planted"]]
    sound = [each for each in trials if each["bug"] == bug.name and not each["is_planted"]]
    hits = [each["seed"] for each in planted if bug.check in each["broken"]]
    others = Counter(name for each in planted for name in each["broken"] if name != bug.check)
    return {
        "bug": bug,
        "seeds": len(planted),
        "found": len(hits),
        "first": min(hits, default=None),
        "others": others.most_common(3),
        "sound": len(sound),
        "blamed": sum(bool(each["broken"] or each["error"]) for each in sound),
    }


def table(scores):
    """The scoreboard as Markdown."""
    lines = [
        "| row | bug | what goes wrong | schedule | check | found | first seed | also noticed by |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in scores:
        bug = each["bug"]
        schedule = getattr(bug.scenario, "func", bug.scenario).__name__
        others = ", ".join(f"{name} {count:,}" for name, count in each["others"]) or "–"
        first = "–" if each["first"] is None else each["first"]
        lines.append(
            f"| {bug.row} | `{bug.name}` | {bug.what} | {schedule.replace('_', ' ')} | "
            f"`{bug.check}` | {each['found']:,} of {each['seeds']:,} | {first} | {others} |"
        )
    sound, blamed = sum(each["sound"] for each in scores), sum(each["blamed"] for each in scores)
    trials = sum(each["seeds"] for each in scores)
    found = sum(each["found"] > 0 for each in scores)
    lines += [
        "",
        f"{found} of {len(scores)} bugs found, in {trials:,} runs. The sound protocol was blamed "
        f"in {blamed:,} of {sound:,} runs of the same scenarios.",
    ]
    return "\n".join(lines)


def shrink_all(scores, jobs):
    """The first find of each bug, made as small as it gets."""
    work = Parallel(n_jobs=jobs, return_as="generator")
    firsts = [(each["bug"].name, each["first"]) for each in scores if each["found"]]
    with progress("shrinking", total=len(firsts), unit="bug") as bar:
        for result in work(delayed(shrunk)(*first) for first in firsts):
            bar.step()
            yield result


def table_of_shrunk(results):
    """What shrinking has left of each, as Markdown."""
    lines = [
        "| bug | seed | faults | operations | nodes | ms | runs | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{each['bug']}` | {each['seed']} | {each['fault_count']} | {each['operation_count']} | "
        f"{each['node_count']} | {each['duration_ms']:,.0f} | {each['runs']} | {each['seconds']} |"
        for each in results
    ]
    columns = ("fault_count", "operation_count", "runs", "seconds")
    faults, operations, runs, seconds = (
        median(each[column] for each in results) for column in columns
    )
    slowest = max(each["seconds"] for each in results)
    lines += [
        "",
        f"Medians: {faults:g} faults, {operations:g} operations, {runs:g} runs, {seconds:g} s; the "
        f"slowest took {slowest:g} s.",
    ]
    return "\n".join(lines)


def write_between(begin, end, text):
    """Replace what the page has between two marks."""
    before, _, rest = PAGE.read_text().partition(begin)
    _, _, after = rest.partition(end)
    PAGE.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def main():
    """Run what is asked for; the page and the kept seeds are written for a whole run only."""
    parser = argparse.ArgumentParser(prog="python -m tests.planted", description=__doc__)
    parser.add_argument("bugs", nargs="*", help="names of bugs; all without")
    parser.add_argument("--seeds", type=int, default=500, help="of each bug")
    parser.add_argument("--sound", type=int, default=50, help="seeds of each bug without it")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--shrink", action="store_true", help="shrink the first find of each")
    asked = parser.parse_args()
    names = [bug.name for bug in BUGS]
    unknown = [name for name in asked.bugs if name not in names]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known are {', '.join(names)}")
    if min(asked.seeds, asked.jobs) < 1 or asked.sound < 0:
        parser.error("--seeds and --jobs count from 1, --sound from 0")
    bugs = [bug for bug in BUGS if not asked.bugs or bug.name in asked.bugs]
    trials = run_all(bugs, asked.seeds, asked.sound, asked.jobs)
    scores = [scored(bug, trials) for bug in bugs]
    sys.stdout.write(table(scores) + "\n")
    if not asked.bugs:
        write_between(BEGIN, END, table(scores))
        kept = {each["bug"].name: each["first"] for each in scores}
        KEPT.write_text(json.dumps(kept, indent=2) + "\n")
    if asked.shrink:
        results = list(shrink_all(scores, asked.jobs))
        sys.stdout.write(table_of_shrunk(results) + "\n")
        if not asked.bugs:
            write_between(SHRUNK_BEGIN, SHRUNK_END, table_of_shrunk(results))
    is_good = all(each["found"] and not each["blamed"] for each in scores)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
