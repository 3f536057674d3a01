"""A model, faults and a scenario that use all that there is."""

GOOD_MODEL = """\
actions:
- {action: auto-login-action, role: client, takes: {uniform: [10, 20]}, fails: 0.05}
- {action: "boot*", takes: {normal: [30, 5]}}
- {action: finalize, takes: 0}
steps:
- {step: "iperf3 -s *", test: 0_serve, role: server, takes: {exponential: 30}, fails: 1}
- {step: "*", takes: {triangular: [1, 2, 9.5]}}
- {step: "iperf3 -c *", transfers: {to: server, size: 10MB}}
conditions:
- {condition: "[ -f /etc/flag ]", role: server, ways: [0.3, 0.7]}
- {condition: "[ -f /etc/flag ]", test: "0_*", way: 2}
loops:
- {loop: "! ping -c 1 server", turns: {uniform: [1, 5]}}
latency: 0.001
links:
- {between: [client, server], delay: 20ms, jitter: 5 ms, loss: 1%, rate: 10Mbit}
- {role: client, loss: 0.5}
- {between: [client, client], cut: true}
"""
GOOD_FAULTS = """\
faults:
- kill: client
  at: {time: 30}
- {hang: {role: client, node: 2}, at: {call: lava-wait ready}, for: 10}
- {hang: [server, {any: client}], at: {step: "iperf3 *", occurrence: 2}}
- {reboot: client, at: {action: auto-login-action}}
- {reboot: client, at: {time: {uniform: [0, 60]}}, takes: 20}
- {slow: server, factor: 4}
- {lose: client, probability: 0.2}
- {duplicate: client, probability: 1, at: {time: 3}, for: 4}
- {reorder: client, probability: 0.5}
- {delay: client, by: {uniform: [0.5, 2]}, probability: 0.1}
- {delay: client, by: 1}
- {partition: client, at: {time: 5}, for: 10}
- {crash: coordinator, at: {time: 12}, for: 3}
- {crash: coordinator, at: {time: 12}}
- {refuse: client, times: 1}
- {refuse: {node: 1}}
- {draw: [kill, hang, lose, cut], rate: 0.05, within: 60, role: client}
- {cut: client, at: {call: lava-wait ready}, for: 5}
- {cut: {between: [{role: client, node: 2}, server]}}
- impair: {between: [{any: client}, server]}
  with: {rate: 1Mbit, loss: 10%}
  for: {uniform: [1, 2]}
- {impair: [client, server], with: {cut: true}, at: {time: 3}}
- {heal: {between: [client, server]}, at: {time: 9}}
- {heal: client, at: {step: "iperf3 *"}}
"""
GOOD_SCENARIO = """\
definition: group.yaml
devices: devices.yaml
model: model.yaml
faults: faults.yaml
scale: {client: 10}
seeds: 1..100
semantics: lava
check: completes
expect:
  status: complete
  exit-code: 0
  health: {server: complete, client: {complete: 9, canceled: 1}}
  errors: {client: MultinodeTimeout, server: ~}
  results: {server: {0_serve/multinode-send-ready: pass}, 0_use/x/y: fail}
  hopeless: [client]
  order: ["server: lava-send ready", client: lava-wait ready]
  duration: {at-least: 5, at-most: 120}
"""
