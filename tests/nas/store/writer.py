"""A process that writes to a store; what it says on standard output, it has committed.

python -m tests.nas.store.writer trials URL JOB FIRST COUNT
python -m tests.nas.store.writer claims URL OWNER COUNT
python -m tests.nas.store.writer open URL
"""

import random
import sys

from nas.store import Store, TrialEnd
from tests.nas.store.build import architecture_row, evaluation_row, new_trial


def write_trials(store, job, first, count):
    for number in range(int(first), int(first) + int(count)):
        store.add_trials(job, [new_trial(number, state="running")])
        evaluation = evaluation_row(
            number, architecture=architecture_row(number).fingerprint, weights=("w", "ab" * 32, 9)
        )
        end = TrialEnd(number=number, state="completed", values=(1.0, 0.5), evaluation=evaluation)
        store.finish_trial(job, end)
        print(number, flush=True)


def evaluate_what_is_claimed(store, owner, count):
    keys = [evaluation_row(number).key for number in range(int(count))]
    random.Random(owner).shuffle(keys)
    for start in range(0, len(keys), 4):
        for key in store.claim(keys[start : start + 4], owner, 60):
            if store.evaluation(key) is None:
                print(key, flush=True)
                store.save_evaluation(evaluation_row(0, key=key))
            store.release([key], owner)


def main(task, url, *arguments):
    with Store.open(url) as store:
        if task == "trials":
            write_trials(store, *arguments)
        elif task == "claims":
            evaluate_what_is_claimed(store, *arguments)
        else:
            print(len(store.list_jobs()))


if __name__ == "__main__":
    main(*sys.argv[1:])
