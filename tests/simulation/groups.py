"""A small group, which models, faults and scenarios of the tests speak of."""

from callboard.definition import read_text
from callboard.flow.extraction import extract
from callboard.simulation import Cast, cast_of

GROUP = """\
job_name: group
visibility: public
timeouts: {job: {minutes: 5}, action: {minutes: 1}}
protocols:
  lava-multinode:
    roles:
      server: {device_type: qemu, count: 1}
      client: {device_type: qemu, count: 3}
actions:
- deploy: {role: [server, client], to: tmpfs, images: {rootfs: {url: "http://x.example/a.img"}}}
- boot: {role: [server, client], method: qemu, prompts: ['root@x:']}
- test:
    role: [server]
    definitions:
    - from: inline
      name: serve
      path: serve.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: serve}
        run:
          steps:
          - iperf3 -s -D
          - lava-send ready port=80
          - if [ -f /etc/flag ]; then lava-send flag; fi
          - lava-sync done
- test:
    role: [client]
    definitions:
    - from: inline
      name: use
      path: use.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: use}
        run:
          steps:
          - while ! ping -c 1 server; do lava-send waiting; done
          - lava-wait ready
          - iperf3 -c server
          - lava-sync done
"""

SINGLE = """\
job_name: single
device_type: qemu
visibility: public
timeouts: {job: {minutes: 5}}
secrets: {PASSWORD: hunter22}
actions:
- deploy: {to: tmpfs, images: {rootfs: {url: "http://x.example/a.img"}}}
- boot: {method: qemu, prompts: ['root@x:']}
- test:
    definitions:
    - from: inline
      name: smoke
      path: smoke.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: smoke}
        run: {steps: [login hunter22 now]}
"""


def cast_in(text: str, **counts: int) -> Cast:
    """Who is in the group of a definition."""
    definition, diagnostics = read_text(text, "group.yaml")
    assert definition is not None, diagnostics
    return cast_of(definition, extract(definition).programs, counts)
