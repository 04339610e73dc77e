"""The one table of topics: which module answers a topic, and why the others are not run.

To add a topic, write a module in this package with `run(case, folder, document) -> Comparison`, where `case` is one
entry of the document's `cases`, `folder` the conformance folder and `document` the whole topic file; add a row to
MODULES. A document without `cases` needs `cases(document) -> list of cases, each with an id` in the module as well.
"""

from typing import Final

MODULES: Final[dict[str, str]] = {
    "condition": "conditions",
    "corpus_golden": "corpus",
    "env_file_debian": "environments",
    "environment": "environments",
    "exec_command": "commands",
    "extract_word": "words",
    "job_engine": "job_queues",
    "job_merge": "job_algebra",
    "job_test_engine": "job_queues",
    "scalar": "scalars",
    "specifier": "expansions",
    "timespan": "scalars",
    "unit_name": "unit_names",
    "unit_parse": "unit_files",
}

NOT_RUN: Final[dict[str, str]] = {
    "calendar": "timers are not carried out yet",
    "install": "no code for it yet",
    "path_unit": "prose for a running manager",
    "run_unit_test_execute": "starts real processes",
    "smoke": "starts real daemons",
}
