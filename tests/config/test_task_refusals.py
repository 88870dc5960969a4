"""The text of every refusal of a task file; PREBAKE_UPDATE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from prebake.config.task_file import Given, read_task
from prebake.config.template import Secret
from prebake.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable

GOLDEN = Path(__file__).parents[1] / "golden/task"
GIVEN = Given({"ID": "r1"}, {"pat": Secret("hunter2")}, {"TOKEN": "hunter2"})


def steps(*lines: str) -> str:
    return "steps:\n" + "".join(f"  {line}\n" for line in lines)


def new(text: str) -> str:
    return f"version: v1.1.0\n{text}"


CASES = {
    "version-unknown": "version: v2.0.0\nsteps: [{cmd: x}]\n",
    "no-steps": "version: v1.1.0\n",
    "steps-empty": "steps: []\n",
    "steps-a-mapping": "steps: {cmd: x}\n",
    "two-actions": steps("- cmd: x", "  build: ."),
    "no-action": steps("- id: x", "  comand: x"),
    "id-with-space": steps("- cmd: x", "  id: a b"),
    "id-twice": steps("- {id: a, cmd: x}", "- {id: a, cmd: y}"),
    "when-itself": steps("- {id: a, cmd: x, when: [a]}"),
    "when-unknown": steps("- {id: build, cmd: x}", "- {id: b, cmd: x, when: [biuld]}"),
    "when-dash-and-more": steps("- {id: a, cmd: x}", '- {id: b, cmd: x, when: ["-", a]}'),
    "when-circle": steps("- {id: a, cmd: x, when: [c]}", "- {id: b, cmd: x}", "- {id: c, cmd: x}"),
    "timeout-negative": steps("- {cmd: x, timeout: -1}"),
    "flag-a-number": steps("- {cmd: x, keep: 1}"),
    "env-without-value": steps("- {cmd: x, env: [A]}"),
    "cmd-with-option": steps("- cmd: -p 80:80 nginx"),
    "cmd-quote-open": steps("- cmd: bash -c 'x"),
    "image-upper-case": steps("- cmd: Nginx"),
    "image-from-empty-value": steps("- push: ['{{.Values.registry}}/app']"),
    "push-nothing": steps("- push: []"),
    "image-with-secret": steps("- cmd: x/{{.Values.pat}}"),
    "port": steps("- {cmd: x, ports: [http]}"),
    "expose": steps("- {cmd: x, expose: ['80:80']}"),
    "cpus": steps("- {cmd: x, cpus: nan}"),
    "build-option-unknown": steps("- build: -t x --no-cahce ."),
    "build-without-context": steps("- build: -t x"),
    "build-needs-buildkit": steps("- build: -t x --secret id=a ."),
    "build-secret-from-a-file": steps(
        "- build: --secret id=a,src=/etc/shadow .", "  env: [DOCKER_BUILDKIT=1]"
    ),
    "build-from-stdin": steps("- build: -t x -"),
    "volume-undeclared": "volumes: [{name: keys, secret: {}}]\n"
    + steps("- {cmd: x, volumeMounts: [{name: kyes, mountPath: /k}]}"),
    "volume-without-files": "volumes: [{name: keys}]\n" + steps("- cmd: x"),
    "volume-name": "volumes: [{name: a b, secret: {}}]\n" + steps("- cmd: x"),
    "volume-file-with-path": "volumes: [{name: a, secret: {a/b: eA==}}]\n" + steps("- cmd: x"),
    "mount-relative": "volumes: [{name: a, secret: {}}]\n"
    + steps("- {cmd: x, volumeMounts: [{name: a, mountPath: k}]}"),
    "mount-twice": "volumes: [{name: a, secret: {}}]\n"
    + steps("- {cmd: x, volumeMounts: [{name: a, mountPath: /k}, {name: a, mountPath: /k}]}"),
    "network-undeclared": "networks: [{name: own}]\n" + steps("- {cmd: x, network: onw}"),
    "secret-in-a-vault": "secrets: [{id: s, keyvault: 'https://v/s'}]\n" + steps("- cmd: x {{.Secrets.s}}"),
    "secret-without-source": "secrets: [{id: s}]\n" + steps("- cmd: x"),
    "secret-twice": "secrets: [{id: s, env: TOKEN}, {id: s, env: TOKEN}]\n" + steps("- cmd: x"),
    "secret-variable-unset": "secrets: [{id: s, env: TOKNE}]\n" + steps("- cmd: x"),
    "secret-file-missing": "secrets: [{id: s, file: no.pem}]\n" + steps("- cmd: x"),
    "secret-in-refused-text": steps("- {cmd: x, timeout: '{{.Values.pat}}'}"),
    "template-statement": steps("- cmd: x {{if .Values.pat}}y{{end}}"),
    "template-function": steps("- cmd: x {{.Values.pat | lowr}}"),
    "alias-fetched": new("alias: {src: ['https://x.example/a.yaml']}\nsteps: [{cmd: x}]\n"),
    "alias-file-missing": new("alias: {src: [a.yaml]}\nsteps: [{cmd: x}]\n"),
    "alias-name": new("alias: {values: {a-b: c}}\nsteps: [{cmd: x}]\n"),
    "alias-directive": new("alias: {directive: ab}\nsteps: [{cmd: x}]\n"),
    "not-yaml": steps("- cmd: x: y"),
}


@pytest.mark.parametrize("name", CASES)
def test_refusal(name: str, write: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as refused:
        read_task(write({"task.yaml": CASES[name]}), GIVEN)
    assert {"file", "line", "found"} <= refused.value.facts.keys()
    assert refused.value.hint
    text = str(refused.value).replace(f"{tmp_path}/", "") + "\n"
    assert "hunter2" not in text
    if os.environ.get("PREBAKE_UPDATE_GOLDEN"):
        (GOLDEN / f"{name}.txt").write_text(text)
    assert text == (GOLDEN / f"{name}.txt").read_text()


def test_every_golden_text_has_its_case() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == CASES.keys()
