"""The catalogue of diagnostics: what each code means and what to do about it."""

import re
from collections.abc import Iterator, Mapping

from attrs import frozen

_CATALOGUE = """
CB001 file can't be read
    The file does not exist, is a directory, or its permissions forbid reading it.
CB002 file too large
    A file may have 4 MiB. A job definition has some kilobytes; what makes it larger is
    mostly test scripts, which belong into a repository named with `from: git`.
CB003 not a text file
    Definitions are UTF-8 text without control characters. Most likely another file was
    meant, or an editor has saved it in another encoding.
CB004 not YAML
    The parser could not go on at this place. Often the slip is a line above: a quote or
    bracket that was never closed, a wrong indentation, a `: ` in a value without quotes.
    Nothing after it was looked at.
CB005 tab as indentation
    YAML is indented with spaces only. Let the editor replace tabs by spaces.
CB006 nested too deep
    Maps and lists may lie 64 deep inside each other, aliases written out.
CB007 too many values
    A file may hold 250,000 values, and 1,000,000 once aliases are written out, so that a small
    file can't fill the memory or take minutes to read.
CB008 several documents
    A file holds one definition. `---` begins another document in YAML.
CB009 bad alias
    `*name` repeats the value after `&name`, which must stand above it and be complete.
CB010 duplicate key
    A map holds the same key twice. YAML readers silently take the last one, LAVA's too, so
    one of the two would be lost.
CB011 tag not allowed
    Tags such as `!!python/object` can make a reader run code; definitions need none.
CB012 key is a list or map
    Keys are single values. `{{ name }}` of a template that was not filled in looks like a
    map as a key.
CB013 unreadable value
    YAML takes the value for a number, date or truth value, but it is none. Quote text.
CB014 not a map
    A definition is a map, which begins with lines such as `job_name: smoke`.
CB015 more problems
    Only the first 200 problems of a file are shown. Mend some of them and try again.
CB016 bad merge
    `<<` takes over the entries of a map, mostly `<<: *name`. It needs a map or a list of
    maps.
CB020 missing key
    LAVA's schema requires this key.
CB021 wrong kind of value
    A list stands where a map is needed, text where a number is needed, and so on.
CB022 text needs quotes
    YAML reads `on`, `yes` and `no` as truth values, `12` as a number, `1.10` as 1.1, and
    `~` as nothing. Where text is wanted, quote them.
CB023 number out of range
    The number is smaller or larger than LAVA accepts.
CB024 not one of the choices
    The value must be one of a few words.
CB025 unknown key
    Nothing reads this key, so it has no effect. Most often it is misspelt or stands one
    level too high or too low. LAVA's strict schema refuses it.
CB026 empty value
    The value is there, but empty.
CB030 no device
    A job needs `device_type`, or `protocols: lava-multinode` with roles that have one.
CB031 device type beside roles
    In a MultiNode job each role has its own `device_type`; one at the top is ignored.
CB032 key belongs into a role
    `context`, `tags` and `environment` at the top of a MultiNode job are lost when LAVA
    splits it into jobs. Put them into the roles.
CB033 bad secret
    Secrets are texts of four characters or more. They are replaced wherever they appear,
    and replacing shorter ones would destroy the logs.
CB034 a split job
    LAVA splits a MultiNode job into one job a node, with `target_group` and `sub_id`. The
    definition needed here is the one before: the MultiNode definition.
CB035 name too long
    `job_name` may have 200 characters.
CB036 bad priority
    `high`, `medium`, `low`, or a whole number from 0 to 100.
CB037 bad visibility
    `public`, `personal`, or `{group: [names]}`. callboard doesn't hide anything, but LAVA
    refuses a job without it.
CB040 bad time-out
    A time-out is a map with one of `days`, `hours`, `minutes`, `seconds` and a whole number
    that isn't negative.
CB041 several units
    LAVA adds up the units of a time-out, but its strict schema allows only one.
CB042 time-out above the job's
    The whole job ends before this time-out can. LAVA's strict schema refuses it.
CB043 not an action's name
    Keys of `actions`, `connections` and a block's `timeouts` are names of pipeline actions:
    small letters and `-`. `callboard describe` shows them.
CB044 empty time-out
    LAVA takes a time-out without any unit, or of zero, as 30 seconds.
CB045 no limit of the job
    `timeouts: job` is mandatory: it ends a job that hangs.
CB046 skip has no effect
    `skip: true` lets a single-node job go on after a test's time-out. In a MultiNode job
    the time-out always fails the job.
CB050 no roles
    `lava-multinode` needs a map of `roles`.
CB051 role without actions
    No action names this role, so its nodes would do nothing. LAVA refuses the job.
CB052 bad count
    Each role says with `count` how many nodes it has: a whole number, at most 1,000,000.
    A group that is run has at most 100,000 nodes.
CB053 role without device
    A role has `device_type`, or `connection` and `host_role`.
CB054 device and connection
    The nodes of a role are devices of their own, or logins on another role's device.
CB055 connection without host
    A role with `connection: ssh` needs `host_role`, the role whose device it logs in to.
CB057 unknown role
    The name is not among the roles of `lava-multinode`.
CB058 host_role and expect_role
    LAVA's server wants both or none: `host_role` says on whose device the nodes are,
    `expect_role` whose message starts them. Nodes with a device of their own need no host here.
CB059 bad host
    A role that others log in to has exactly one device: `count: 1` and `device_type`. Of a role
    that has devices of its own, LAVA wants it too.
CB060 role starts itself
    With `request: lava-start` a role waits for a message of `expect_role`. It can't be its
    own, since it does nothing before it has started.
CB061 starts in a circle
    Roles with `request: lava-start` wait for each other, so none of them ever begins.
CB063 request does nothing
    In a role only `request: lava-start` together with `expect_role` has an effect; any
    other role starts at once.
CB064 two time-outs
    Both the role and the group limit blocking calls. Here the role's holds, as the
    documentation says; LAVA's split lets the group's win.
CB065 key of the other kind of role
    LAVA's strict schema allows `host_role` only in roles with `connection`, and
    `environment` only in roles with `device_type`. Its server needs `host_role` beside
    `expect_role`, so roles of devices that start later have it too.
CB066 bad pin
    `device` pins a role to one device, so its count is 1; a connection can't be pinned,
    since it runs where its host is.
CB067 waits for nobody
    The role has `count: 0`: no node will ever send what is waited for.
CB068 no nodes
    Every role has `count: 0`, so there is nothing to run.
CB069 request beside roles
    `request` and `expect_role` describe one role and stand in it. Directly under
    `lava-multinode` they appear only in jobs that LAVA has split.
CB070 bad action
    `actions` is a list of maps of one key each: `deploy`, `boot`, `test` or `command`. Two
    keys in one map mean that the second is indented too little.
CB071 unknown action
    There are `deploy`, `boot`, `test` and `command`. A `repeat` block of old definitions
    must be written out.
CB072 action without role
    In a MultiNode job each action says which roles run it. Old documentation lets such an
    action run on all roles, but LAVA refuses it.
CB073 role is not a list
    LAVA takes a single text for a place to search in: an action with `role: host` would
    also go to a role `hos`. Here it means exactly that role.
CB074 namespace missing
    All actions of a job have a `namespace`, or none.
CB075 reserved namespace
    `common` and `docker-test-shell` are used by LAVA itself.
CB076 repeat and failure_retry
    `repeat: N` runs an action N times whatever happens, `failure_retry: N` until it
    succeeds. LAVA refuses a block with both.
CB077 retry has no effect
    The tests of a MultiNode job are never retried: the other nodes would not know.
CB078 role without roles
    The job has no `lava-multinode`, so `role` in its actions means nothing.
CB079 bad connection namespace
    `connection-namespace` lets a test use the connection that a boot of another namespace
    has opened. It needs such a namespace, and has no effect elsewhere.
CB080 calls are not a list
    The calls of a protocol are a list, even if it is one. LAVA fails on a map.
CB081 empty call
    A call has an `action`, a `request` and mostly a `messageID`.
CB082 incomplete call
    A call needs `action`, the pipeline action that makes it, and `request`; `lava-start` needs
    `roles` too, those that it releases.
CB083 unsupported request
    The protocol has no such request. `aggregate` was never implemented for actions.
CB084 call without messageID
    Sends, waits and syncs meet by their `messageID`.
CB085 call is never made
    A call is made by the pipeline action that it names. Where the block has no such action,
    LAVA leaves the call out without a word, and other nodes wait for it in vain. `--strict`
    refuses to run then.
CB086 bad message
    A message is a map of texts, or one text, and fits into 65,534 characters.
CB087 key has no effect
    Only `lava-wait-all` reads `role`, and only `lava-start` reads `roles`; it reads no
    `messageID` and no `message`.
CB089 protocol not declared
    A block calls a protocol that the job's `protocols` don't list, so nobody answers.
CB090 bad call for an address
    `prepare-scp-overlay` takes the address of the host from one call with a `messageID` and
    a `message` that names the datum, e.g. `{ipaddr: $ipaddr}`.
CB091 login finds no address
    `hostID` and `host_key` of a guest's boot repeat the `messageID` and the key of the call
    that fetches the address.
CB092 releases nobody
    `lava-start` releases roles that have `request: lava-start` and whose `expect_role` is a role
    of the block that makes the call. Others start at once, or wait for somebody else.
CB093 placeholder is not filled
    Values that begin with `$` are filled by `lava-wait` and `lava-wait-all`, with what they have
    received. `lava-send` sends them as they are written, and `lava-sync` hands no data on.
CB094 call outlasts its action
    The time-out of the action that makes the call, or of one around it, ends the wait before the
    call's own does.
CB095 guests are not let in
    Guests log in with a key that is made for the run; a deploy of their host with
    `authorize: ssh` puts it there.
CB100 no nodes here
    A local node is a throw-away view of this machine, made of namespaces and overlays. With
    `--no-sandbox` nodes are shells on the machine itself, which they can change. Containers need
    root and LXC, and guests an ssh client. `callboard doctor` says what this machine lacks.
CB101 not supported yet
    callboard understands this part of the definition, but can't run it yet. The definition
    is valid; run it without this part.
CB102 no device
    The devices file has no free choice of devices that gives every node one with the type
    and tags of its role.
CB103 would be skipped
    The node's driver can't carry out this action, so a run would skip it and say so.
    `--strict` refuses to run then.
CB104 bad command line
    An option or argument is unknown, missing, or of the wrong kind. `--help` lists them.
CB105 output directory
    The output directory can't be made or written, or it holds a run already.
CB106 bad configuration file
    `callboard.toml` has one table a command, with the command's options as keys.
CB107 no run directory
    The directory has no event log that can be read, so nothing can be derived from it.
CB108 bad state
    The state directory keeps the counter of job ids; `$CALLBOARD_STATE` names another one.
CB109 fault of callboard
    Something happened that callboard's authors did not foresee. `-vv` shows where.
CB110 devices stayed busy
    Other runs had the devices for longer than the definition's `timeouts.queue`.
CB111 source not allowed
    Sources come over http, https, git, ssh, or as files below the definition's own folder.
    `--allow-local` allows other files of this machine.
CB112 source can't be reached
    A server did not answer, or not in time. Nothing was started.
CB113 source not found
    The repository, branch, revision, archive or file does not exist there, or can't be used.
CB114 bad archive
    A tar archive holds files, folders and links inside of itself, and no more than a test
    needs. Anything else could write where it must not.
CB115 wrong checksum
    What was fetched is not what `sha256sum` says it must be.
CB116 cache can't be written
    What has been fetched is kept in the cache directory; `$CALLBOARD_CACHE` names another one.
CB117 no containers here
    Containers of LXC need root and LXC's tools. `callboard doctor` says what is missing.
CB120 bad container name
    `[A-Za-z0-9][A-Za-z0-9_-]*`, at most 63 characters with the job's id, which is added
    unless the container persists. Other names can harm the LXC tools' own files.
CB121 unknown template
    Containers are built with the templates download, debian, ubuntu or busybox.
CB122 container without role
    In a MultiNode job `lava-lxc` holds one map a role.
CB123 no container described
    A block deploys or boots a container, but the role has none in `lava-lxc`.
CB124 container is shared
    A persistent container keeps its name, so several nodes would use one container at the
    same time.
CB125 bad word for a template
    What an LXC template is told ends up in paths and files: a distribution, release or arch
    is a short word, a mirror the address of a web server.
CB126 bad package
    Packages are named as apt-get has them, such as `iperf3`, `libc6:i386` or `curl=7.88.1-10`.
CB127 bad mount
    A mount names an absolute path of this machine and one of the container, without `..`.
CB130 VLANs without group
    `lava-vland` needs `lava-multinode`.
CB131 role without VLAN
    `lava-vland` lists every role of the group.
CB132 several nodes on a VLAN role
    With `lava-vland` LAVA wants `count: 1` of each role. Here all nodes of a role are in its
    VLANs.
CB133 bad VLAN name
    Letters, digits and `_`.
CB134 short form of a VLAN
    LAVA's documentation shows a bare list of tags, but its schemas want `{tags: [...]}`.
CB135 time-out too short for VLANs
    Creating VLANs takes a while: LAVA fails unless the action that asks for it has a
    connection time-out of 120 seconds or more.
CB140 nothing to test
    A test block has `definitions`, `interactive` or `monitors`.
CB141 bad test name
    The name becomes a directory and a part of suite names: letters, digits, `-`, `_`.
    LAVA's schema lets dots pass, its dispatcher doesn't.
CB142 reserved test name
    LAVA's own results stand under `lava`.
CB143 test name twice
    Names are unique within a job's namespace, since results stand under them.
CB144 bad skip_install
    A list of `keys`, `sources`, `deps`, `steps`, `git-repos` or `all`.
CB145 revision of a shallow clone
    A shallow clone has the newest commit only, so an older `revision` can't be found.
CB146 unknown format
    A test definition says `format: Lava-Test Test Definition 1.0` in its metadata.
CB147 several kinds of test
    A test block runs `definitions`, `interactive` scripts or `monitors`: one of them.
CB148 step is not text
    A step such as `echo a: b` is a map in YAML, since it has a `: `. Quote the step.
CB149 parameters of an inline test
    LAVA's strict schema has `parameters` for git and url only. An inline definition can
    hold its own `params`.
CB150 test name not ASCII
    LAVA's strict schema allows ASCII letters only.
CB151 path leads out
    The path of a test definition is relative, and stays inside its repository.
CB152 bad parameter name
    Parameters become shell variables: letters, digits and `_`, no digit first.
CB153 pattern is deprecated
    LAVA no longer parses output with `parse: pattern` unless asked to. Use
    `lava-test-case`.
CB154 bad checksum
    `sha256sum` is what the program of that name prints for the archive: 64 hexadecimal digits.
CB160 message never sent
    A wait returns once the message has been sent. No role ever sends this ID, so the call lasts
    until its limit and fails. Most often one of the two IDs is misspelt.
CB161 message never awaited
    A message is sent, but nobody waits for its ID. It does no harm, but most often the wait is
    missing or misspelt.
CB162 wait-all never satisfied
    `lava-wait-all ID` needs the message from every node of the group, the calling one included,
    and `lava-wait-all ID ROLE` from every node of the role. One of them never sends it.
CB163 sync never complete
    `lava-sync ID` returns once every node of the group has called it. One role never does.
CB164 circular wait
    Each of some calls waits for what comes only after another of them, so none returns. Send
    what others need before waiting for them.
CB165 never released
    A role with `request: lava-start` begins once every node of its `expect_role` has sent
    `lava_start`, which they never do.
CB166 released too late
    The role that releases a delayed one waits for it before, and so for what can't happen.
    Delayed roles take part in `lava-sync`, and in `lava-wait-all` without a role.
CB167 waits for a role that isn't there
    `lava-wait-all ID ROLE` fails at once if the group has no such role, or no node of it.
CB168 datum never sent
    An action fills in `$name` from the data that came with the message. If nobody sends that
    key, the action fails.
CB169 bad key
    The keys of `lava-send ID KEY=VALUE` have letters, digits and `_`. With any other the call
    fails, and the test with it.
CB170 bad ID
    IDs travel on the console as one word: without white space, `>` or `=`.
CB171 call inside of another helper
    `lava-test-case` records whether its command succeeds, and goes on either way. After a call
    that failed there, the nodes go on as if they had met.
CB172 call that is not seen
    Calls and their answers travel on the console. In a pipe, a redirection, `$( )`, the
    background or `timeout` a call is not heard, or can't read its answer.
CB173 wait outlasts its test
    The limit of calls in a shell is the `timeout` of the role or the group. The test action, or
    the job, ends before it: the wait then fails the whole job, and not just its test.
CB174 essential role that nobody needs
    When a node of an essential role fails, the whole group ends. That is of use where the others
    wait for it.
CB175 sync used again
    A sync is documented to return at once for a node that has passed it. In LAVA's coordinator
    the nodes have to meet again, and a fast one may pass while a slow one waits for ever.
CB176 step is not read
    The step is no shell script that can be parsed, so its calls are not part of the proof.
CB177 ID known at run time only
    An ID or role that a command or the environment makes can't be followed before the run.
CB178 script is not read
    A script that is missing, or no shell script, may make any call. Keep synchronisation calls
    in inline definitions, where they can be seen. Sources of git and url are read if they are
    fetched.
CB179 outcome depends on a condition
    Only the run knows which way a node goes, and on some ways a call waits for ever.
CB180 too much to explore
    There are more branches or calls than can be looked at, so nothing is proved.
CB181 loop without end
    Nothing after the loop is ever reached. A loop that serves others belongs into the background.
CB182 one ID for messages and syncs
    callboard keeps the IDs of messages and syncs apart. LAVA's coordinator has one table for
    both, so that they disturb each other there.
CB183 call without a group
    The MultiNode helpers are there only in jobs with `protocols: lava-multinode`, and calls of
    actions do nothing in others.
CB184 misspelt helper
    The command is none of LAVA's helpers, but its name is like that of one that makes calls. On
    the node it fails, and whoever waits for the call waits for ever.
CB185 words too many
    `lava-wait` and `lava-sync` take an ID, `lava-wait-all` a role behind it. callboard leaves out
    what follows; LAVA takes it for an error of the test, and ends the job.
CB190 bad command
    A command of a devices file is a text, split into words as a shell would, or a list of
    words. It runs without a shell: for pipes and variables name `sh`, `-c` and a script.
CB191 not a regular expression
    Prompts and messages of a console are regular expressions, as in LAVA: `[`, `(`, `*`, `$` and
    others have a meaning, and a backslash before them takes it away.
CB192 bad address
    `address` of a device is a host name or an IP address, `user` the name of a user. The port has a
    key of its own.
CB193 bad key of ssh
    `identity_file` names a private key, and `host_key` is a public one: its type, and its text
    in base64. Several of them make a list.
CB194 bad network interface
    `interfaces` of a device is a map of labels. Each has `tags`, `mac` and `sysfs`, and `switch`
    and `port` where it is plugged into a switch. The helpers `lava-vland-*` print them in lines,
    so that labels are short words, and addresses and paths complete.
CB195 bad socket of an interface
    `switch` is the name or address by which VLANd knows the switch, `port` the number of the port
    on it. Both belong together. An interface with tags is moved between VLANs: on machines that
    callboard doesn't make, by the switch that it is plugged into.
CB196 two interfaces on one port
    A port of a switch has one cable. Moving it would move the other device too.
CB197 hardware address twice
    Tests look for an interface by its hardware address, and switches forward by it.
CB198 bad address of VLANd
    `vland` has the `host` where the daemon runs, a host name or an IP address, and its `port`.
CB199 nobody moves the ports
    Interfaces name switches, but the devices file no `vland`. Jobs without VLANs don't mind.
CB200 bad duration
    Models and faults give times as numbers of seconds, or as one distribution:
    `{uniform: [low, high]}`, `{normal: [mean, deviation]}`, `{exponential: mean}`,
    `{triangular: [low, mode, high]}`.
CB201 time out of range
    A time is not negative, and at most a thousand million seconds.
CB202 bad parameters of a distribution
    `uniform` takes two numbers, low and high; `normal` two, mean and deviation; `exponential` one,
    the mean; `triangular` three, low, mode and high. None is larger than the one that limits it.
CB203 bad probability
    A probability is a number from 0, never, to 1, always.
CB204 rule without effect
    A rule of a model says what holds for the parts that it names: `takes` or `fails` of actions and
    steps, `ways` or `way` of conditions.
CB205 bad weights
    `ways` lists a weight for each way of a condition in the order written, and `way` names one
    of them by its number, from 1. One weight at least is more than 0.
CB206 bad target
    A fault happens to `client`, all nodes of the role; to `{role: client, node: 2}`, counted from
    1; to `{any: client}`, one that the seed chooses; or to each of a list of these.
CB207 bad moment
    `at` names one moment: `{time: 30}` in virtual seconds, or `{action: …}`, `{step: …}` or
    `{call: …}`, just before the node comes to it.
CB208 bad fault
    Each item of `faults` is one fault, named by its first key: `kill: client`.
CB209 bad seeds
    Seeds are whole numbers from 0: `7`, `1..100` with both ends, or `[1, 5]`. A command takes up to
    ten million of them.
CB210 no such role
    A rule, fault or expectation names a role that the definition doesn't have.
CB211 matches nothing
    A rule of a model is about an action, step, condition, loop or test that the definition
    doesn't have, so it would do nothing. `callboard describe` lists actions; commands are named
    as they are written, and `*` and `?` stand for any text and any character.
CB212 no such way
    A condition has fewer ways than the model gives weights, or than the number of the one chosen.
CB213 no such node
    Nodes are counted from 1 within their role.
CB214 fault never happens
    Nobody comes to the moment of the fault, or it has no effect there, so a rehearsal with it is
    one without.
CB215 expectation can't be read
    Results are named `suite/case`, and calls `role: call`, as in `client: lava-wait ready`.
CB216 expectation never holds
    What is expected does not fit the definition: a suite or a call that it doesn't have, or a
    number of nodes that the role doesn't have.
CB217 nothing expected
    A scenario without `check` and `expect` holds whatever happens.
CB230 no recording
    The directory has no event log of a run that can be read, so there is nothing to replay.
CB231 recording of another group
    A replay needs at least one recorded node of every role. Roles may have other counts than in
    the run, but their names are the same.
CB232 alone on a VLAN
    A VLAN connects the nodes that use it. With one of them there is nobody to talk to; most often
    the VLAN has another name in another role.
CB233 VLAN never deployed
    VLANs are made, and interfaces moved into them, when an action makes the request
    `deploy_vlans`. A role that never makes it stays out of its VLANs.
CB234 VLANs deployed twice
    A job's VLANs stay until it ends. LAVA makes them anew at a second `deploy_vlans`, and forgets
    to delete the first.
CB235 VLAN that nobody makes
    Of the roles that use a VLAN the first creates it and tells the others, which wait for that
    message in their `deploy_vlans`. If the first never makes the request, they wait until their
    limit, and fail.
CB236 message named like a VLAN
    Who creates a VLAN sends a message of its name, with `vlan_name` and `vlan_tag`. Another message
    of that ID may be taken for it: then a node finds no VLAN in it.
CB237 helper of VLANs without VLANs
    `lava-vland-self`, `lava-vland-names` and `lava-vland-tags` are there only on nodes whose
    role has VLANs in `lava-vland`.
CB240 bad network
    A network of a group has addresses that nobody outside of it has: private ones for IPv4 (at
    least eight), unique local ones for IPv6 (64 bits for the nodes). None need be given: what is
    free on this machine is taken.
CB241 VLANs in the machine's network
    Interfaces that can be moved between VLANs need a network that the group has to itself, which
    it has unless `network: host` or `--network host` says otherwise.
CB242 no network of the group here
    Nodes get a network of their own with the tool `ip` and, as an ordinary user, in user
    namespaces. `callboard doctor` says what this machine lacks.
CB243 network is too small
    The range of addresses has fewer than the group needs, or the group has more nodes than one
    bridge takes. Name a larger range as `ipv4` of `network` in the devices file.
CB244 network needs throw-away nodes
    With `--no-sandbox` nodes are shells on the machine itself, in its network.
CB245 no interface for a VLAN
    A device serves a role only if each of the role's VLANs finds an interface of its own there,
    with all of its tags. Interfaces without tags are primary: no VLAN takes one.
CB246 VLANs of a guest
    A guest is a login on its host, with no network interface of its own. `lava-vland` lists it
    without a VLAN.
CB247 nobody moves the ports of a VLAN
    The interfaces for it are plugged into switches, and the devices file names no `vland` that
    moves their ports.
CB248 divided VLAN
    Some of its nodes are plugged into switches, and some are made on this machine, where a VLAN
    is a bridge. Nothing connects the two.
CB260 quantity can't be read
    A duration, share, rate or size is a number with its unit, such as `20ms`, `1%`, `10Mbit` or
    `10MB`, and lies within what makes sense.
CB261 link without ends
    A rule for links names a role, `{role: client}`, whose nodes' links are meant, or two roles,
    `{between: [client, server]}`. Both may be the same one: the links among its nodes.
CB262 contradictory conditions of a link
    A link that is cut has no other conditions, jitter is at most the delay that it is about, and
    what holds for the same links stands in one rule.
CB263 link of an unknown role
    A rule for links names a role that the definition doesn't have, so it would do nothing.
CB264 fault of rehearsals alone
    In a real run only the links between nodes can be made to suffer, by `cut`, `impair` and
    `heal`, and only at a moment that a run comes to. `callboard simulate` rehearses the rest.
CB265 link outside of the group's network
    Only nodes in the network of the group have links that can be cut, slow or lossy: local nodes
    and containers with `network: group` or `--network group`.
CB270 cluster that can't be reached
    No NATS server answers at the URL, it refuses the credentials or the certificate, or the
    client library is missing here (`pip install 'callboard[nats]'`). `callboard cluster dev`
    starts a server on this machine.
CB271 another version in the cluster
    What another process has written is not of this version's protocol. All processes of a
    cluster, clients too, must be of versions that have the same protocol.
CB272 server that can't serve a cluster
    callboard needs NATS 2.12 or newer, with JetStream enabled: logs, records and devices of a
    cluster are kept there.
CB273 name of a worker that is taken
    Another worker of that name lives. `--name` gives this one another name; a worker that was
    killed frees its name when its registration has expired.
CB274 cluster without space
    A stream or bucket of the cluster is full. Old groups expire with the retention time;
    `callboard cluster init` sets limits, and the server's own configuration has some, too.
CB275 too large for the cluster
    A message is larger than the server takes (`max_payload`), or a group's definition and
    sources are larger than a bundle may be.
CB276 no such group
    The cluster knows no group of that id: it was never submitted there, its retention time is
    over, or several begin with the same characters. `callboard list --all` lists them.
CB277 not on a cluster
    The group needs what only a run on one machine has: networks of its own, VLANs, faults of
    links, or files that lie on the machine of who submits it.
CB278 nobody serves a role yet
    No worker of the cluster offers a device of that type, with those tags and of that name. The
    group waits for one, at most `timeouts.queue`.
CB279 not permitted in the cluster
    The credentials don't allow what was to be done, by the server's permissions.
CB280 accounts that can't be made
    A name of a member can't be used, or is another member's; nobody has the name that is to be
    shut out; or the folder with the accounts can't be written or understood.
CB281 group that has ended
    What was asked for is for groups that wait or run. Results of those that have ended are there
    until the retention time is over: `callboard attach ID` shows them, and `-o DIR` records them.
CB282 group that has never run
    It waited for devices for longer than its `timeouts.queue`, was cancelled meanwhile, got devices
    that can't do all that `--strict` asks for, or could not be read by who leads it.
CB283 no cluster on the server
    The NATS server, or our account of it, has nothing of a callboard cluster. The first worker
    that leads makes it, if its credentials allow that, and so does `callboard cluster init`.
CB284 access that can't be right
    What names the cluster is no address of a NATS server, or a file with credentials, a certificate
    or a key can't be read, or holds something else. Nothing was tried.
CB290 coordinator that can't be run like this
    A setting of `callboard coordinator` has a value that it can't have, or a variable of the
    environment is named like a setting and is none. The message says where it is from: an option,
    the environment, or a callboard.toml.
CB291 configuration of LAVA's coordinator
    The file has to be a JSON object with a port and a poll delay, as LAVA's coordinator reads
    it. `--config FILE` names another one.
CB292 address that nobody can listen on
    Another program listens there, the address is none of this machine's, its name is unknown, or
    the port is one that only root may have.
CB293 no coordinator
    Nobody answers at the socket where a coordinator's state can be asked for: none is running, it
    has another socket (`--socket`), or it belongs to another user.
CB294 state of a coordinator that can't be used
    What the state directory keeps is damaged, another coordinator's, of a newer version, or can't
    be read or written. Nothing of it has been changed.
CB295 coordinator that can't be joined like this
    What is said of the group that a run is to join doesn't fit together: the URL of its
    coordinator, its size, or the roles whose nodes are to run here.
CB296 part of a group that can't run by itself
    The definition has something that is made by one run for all of its nodes, such as the keys of
    guests and their hosts or VLANs, and some of these nodes are to run elsewhere.
"""

_ENTRY = re.compile(r"^(CB\d{3}) (.+)\n((?: {4}.+\n)+)", re.MULTILINE)


@frozen
class Code:
    """A kind of problem.

    Attributes:
        code: `CB` and three digits; once released, it never changes its meaning.
        title: What is wrong, in a few words.
        explanation: Why it matters, and what to do.
    """

    code: str
    title: str
    explanation: str


def _codes() -> Iterator[Code]:
    for code, title, explanation in _ENTRY.findall(_CATALOGUE):
        yield Code(code, title, " ".join(explanation.split()))


CODES: Mapping[str, Code] = {code.code: code for code in _codes()}
"""Every kind of problem by its code, in the order of the codes."""

_RUN = (*range(100, 118), 230, 231, *range(241, 246), 247, 248, 264, 265)
_SERVICES = (*range(270, 285), *range(290, 297))
RUN_CODES = frozenset(f"CB{number}" for number in (*_RUN, *_SERVICES))
"""Those that only appear when a command is carried out, not when a definition is read."""

FLOW_CODES = frozenset(f"CB{number}" for number in (*range(160, 186), *range(232, 238)))
"""Those of the flow of a group (`callboard.flow.diagnosis`), not of its definition."""

REHEARSAL_CODES = frozenset(f"CB{number}" for number in range(200, 230))
"""Those of models, faults and scenarios (`callboard.simulation`)."""
