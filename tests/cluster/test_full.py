"""A server without space: who submits is told so, and what runs goes on when there is some."""

import os
import subprocess
from pathlib import Path

from tests.cluster.server import Server
from tests.cluster.workers import make_cluster
from tests.commandline import CALLBOARD

NARROW = """\
accounts {
  lab {
    jetstream { max_file: 100K }
    users: [{user: lab, password: lab}]
  }
}
no_auth_user: lab
"""

GROUP = """\
job_name: large
visibility: public
timeouts: {{job: {{minutes: 2}}}}
device_type: qemu
actions:
- deploy: {{to: tmpfs}}
- boot: {{method: qemu, prompts: ['#']}}
- test:
    definitions:
    - from: inline
      name: large
      path: large.yaml
      repository:
        metadata: {{format: Lava-Test Test Definition 1.0, name: large}}
        run: {{steps: ['true {filling}']}}
"""


def test_who_submits_to_a_full_cluster_is_told_so(tmp_path: Path) -> None:
    with Server(tmp_path / "nats", extra=NARROW) as server:
        make_cluster(server, tmp_path)
        filling = os.urandom(100_000).hex()
        (tmp_path / "large.yaml").write_text(GROUP.format(filling=filling))
        ran = subprocess.run(
            [*CALLBOARD, "submit", "--nats", server.url, "large.yaml"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 3
    assert "error[CB274]: " in ran.stderr
    assert "hint: " in ran.stderr
    assert "Traceback" not in ran.stderr
