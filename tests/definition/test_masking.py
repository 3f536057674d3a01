"""What a definition sends to servers to be let in is never shown."""

import pytest

from callboard.definition import read_text, split
from callboard.definition.masking import secret_of

JOB = """\
job_name: x
device_type: qemu
visibility: public
timeouts: {job: {minutes: 5}}
actions:
- test:
    definitions:
    - {name: "NAME", from: git, repository: "https://user:hunter2@h.example/x", path: a.yaml}
    - name: second
      from: url
      repository: https://h.example/x
      path: a.yaml
      headers: {Authorization: "Bearer hun\\u0074er3
          abcdef"}
"""


def test_logins_and_headers_are_not_in_what_is_shown_of_a_line() -> None:
    _, diagnostics = read_text(JOB.replace("NAME", "a b"), "job.yaml")
    assert [each.code for each in diagnostics] == ["CB141"]
    assert "hunter2" not in str(diagnostics[0])


def test_logins_and_headers_are_not_in_a_job_s_text_however_they_are_written() -> None:
    definition, _ = read_text(JOB.replace("NAME", "first"), "job.yaml")
    assert definition is not None
    [job] = split(definition, first_id=1, group="")
    for secret in ("hunter2", "er3", "abcdef"):
        assert secret not in job.text
    assert "https://[MASKED]@h.example/x" in job.text
    options = definition.blocks[0].definitions[1].options
    assert options["headers"] == {"Authorization": "Bearer hunter3 abcdef"}


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("https://token@h.example/x", "token"),
        ("https://user:p@ss@h.example/x@y", "user:p@ss"),
        ("ssh://builder@h.example/x", None),
        ("git@h.example:x", None),
        ("https://h.example/x@y", None),
        ("curl https://user:word@h.example", None),
    ],
)
def test_a_name_to_log_in_with_is_no_secret_for_ssh(url: str, secret: str | None) -> None:
    assert secret_of(url) == secret


LOGIN = """\
job_name: x
device_type: qemu
visibility: public
timeouts: {job: {minutes: 5}}
actions:
- boot:
    method: minimal
    prompts: [PROMPT]
    auto_login: {login_prompt: 'login:', username: root, password_prompt: word, password: WORD}
- test:
    definitions:
    - {name: first, from: git, repository: "https://h.example/x", path: a.yaml}
"""


@pytest.mark.parametrize("password", ["hush-hush", "root", "pw"])
def test_a_password_is_not_in_a_job_s_text(password: str) -> None:
    text = LOGIN.replace("WORD", password).replace("PROMPT", "'root@x:'")
    definition, _ = read_text(text, "job.yaml")
    assert definition is not None
    [job] = split(definition, first_id=1, group="")
    for shown in (job.text, definition.masked_text):
        assert "'[MASKED]'" in shown or '"[MASKED]"' in shown
        assert f"password: {password}" not in shown
        assert "root@x" in shown
    login = definition.blocks[0].auto_login
    assert login is not None
    assert (login.username, login.password) == ("root", password)
    assert password == "root" or password not in repr(login)


def test_the_line_of_a_password_is_not_shown() -> None:
    text = LOGIN.replace("WORD", "pw, x: y").replace("PROMPT", "a")
    _, diagnostics = read_text(text, "job.yaml")
    assert [each.code for each in diagnostics] == ["CB025"]
    assert "pw" not in str(diagnostics[0])
