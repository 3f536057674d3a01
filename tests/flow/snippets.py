"""Small scripts and what they are known to do, in the notation of `tests.flow.notation`.

The node is the only server of a group with two clients; nobody knows `foo` and `bar`.
"""

from collections.abc import Mapping

STEPS: Mapping[str, str] = {
    "lava-send a": "send a",
    "lava-send a x=1 y=two words z=": "send a x=1 y=two z=",
    "lava-wait a\nlava-wait-all b\nlava-wait-all c client\nlava-sync d": (
        "wait a; wait-all b; wait-all c client; sync d"
    ),
    "/usr/bin/lava-send a": "send a",
    "lava-send": "{send !id; ^1!}",
    "lava-send 'a b'": "{send a b !id; ^1!}",
    "lava-send a=b || :": "send a=b !id",
    "lava-send a my-key=1 || :": "send a my-key=1 !key",
    "lava-wait-all a nosuch || lava-wait b": "wait-all a nosuch !role; wait b",
    "lava-wait-all a nobody || :": "wait-all a nobody !role",
    "echo lava-send a; grep lava-wait f; : lava-sync b": "",
    "# lava-send a": "",
    "lava-send a # lava-send b": "send a",
    "foo": "?foo",
    "foo; lava-send a": "?foo; send a",
    "xargs lava-send < f; ssh host lava-sync a": "<unseen>; <unseen>",
    "lava-test-raise x; lava-send a": "{^3!}",
    "if foo; then (": "<unparsed>",
    "lava-send a; )": "<unparsed>",
    'lava-send a\nlava-send "b\nlava-sync c': "send a; <unparsed>",
    "lava-wait 'a": "<unparsed>",
}
"""Single calls, and what looks like them."""

WORDS: Mapping[str, str] = {
    "lava-send $U": "send …",
    "set -- a b; lava-send $U-$1; lava-send $2.$1/x; X=$2-$1; lava-send $X": (
        "send …-a; send b.a/x; send b-a"
    ),
    "A=a; B=b; lava-send $A-$B-$U; lava-send $A.$B.$A.$B": "send a-b-…; send a.b.a.b",
    "lava-send $U-$?-$U; echo $U-$?-$U; X=a; X=$U-$?-$U; lava-send x$X": "<unparsed>; send x…",
    "lava-send $U-$$": "send ……",
    'lava-send "a-$U-b"': "send a-…-b",
    "X=x; lava-send $X-y; lava-send '$X'; lava-send \"${X}\"": "send x-y; send $X; send x",
    'X="a b"; lava-wait $X; lava-send q-$X': "wait a; send q-a",
    'C="lava-send a"; $C; $C k=1': "send a; send a k=1",
    "$U lava-send a": "<unseen>",
    "lava-$U a; $U": "<unseen>; ?$U",
    "S=; $S lava-send a": "send a",
    "X=${U:-a}; lava-send $X": "send …",
    "X=; lava-send a${X:-b}": "send ab",
    "X=; : ${X:=d}; lava-send a$X": "send a…",
    "unset X; lava-send ${X-a}": "send …",
    "X=a; X+=b; lava-send $X": "send ab",
    "lava-send $((1 + 2))": "send 3",
    "i=1; lava-send $((i++)); lava-send x$i": "send …; send x…",
    "i=1; lava-send $((i+1)); lava-send x$i": "send 2; send x1",
    "lava-send r-$(lava-role); lava-send `lava-role`": "send r-server; send server",
    "lava-send $(echo a); lava-send $(foo)": "send a; ?foo; send …",
    "lava-send $(basename a/b.sh)-$(dirname a/b.sh)": "send b.sh-a",
    "lava-send $(expr 1 + 2)$(expr 1+2)": "send 3…",
    "lava-send ip ipaddr=$(lava-echo-ipv4 eth0)": "send ip ipaddr=…",
    "V=$(cat f | cut -d= -f2); lava-send ip ip=$V": "send ip ip=…",
    "X=$(lava-wait a)": "<console>",
    "lava-send a{1,2}": "send …",
    "a=x; a[0]=y; lava-send $a": "send …",
    "printf -v X b; lava-send x$X; X=a; printf -v X b; lava-send x$X": "send x…; send x…",
    "X=a; IFS= read -r X; lava-send x$X": "send x…",
    "X=a; X=b foo; lava-send x$X": "?X=b; send xa",
    "X=a; X=b :; lava-send x$X": "send x…",
    "X=a; eval $U; lava-send x$X": "?eval; send x…",
    "X=a; declare -i X=1+1; lava-send x$X": "send x…",
    "lava-send x$?; false || lava-send x$?": "send x0; send x…",
}
"""Expansion."""

BRANCHES: Mapping[str, str] = {
    "if foo; then lava-send a; else lava-send b; fi; lava-sync c": (
        "?foo; (send a | send b); sync c"
    ),
    'if [ "$(lava-role)" = server ]; then lava-send a; elif foo; then x; else lava-wait a; fi': (
        "send a"
    ),
    'if [ "$(lava-role)" = client ]; then lava-send a; fi': "",
    'case "$(lava-role)" in server) lava-send a ;; client) lava-wait a ;; esac': "send a",
    "case $(lava-role) in c*|s*) lava-send a ;; *) lava-send b ;; esac": "send a",
    "case $U in a) lava-send a ;; b) foo ;; *) lava-send c ;; esac": "(send a | ?foo | send c)",
    "case x-$U in y*) lava-send a ;; x-a) lava-send b ;; esac": "(send a | send b | -)",
    "case 'a*' in a\\*) lava-send a ;; esac": "(send a | -)",
    "case abc in 'a*') lava-send a ;; \"abc\") lava-send b ;; esac": "send b",
    "case a in @(a|b)) lava-send a ;; esac": "(send a | -)",
    "case a in [[:alpha:]]) lava-send a ;; esac": "(send a | -)",
    "case a in a) lava-send a ;& b) lava-send b ;; esac": "<unparsed>",
    "[[ $(lava-role) == ser* ]] && lava-send a": "send a",
    "[[ 'ser*' == \"ser*\" ]] && lava-send a; [[ server == 'ser*' ]] || lava-send b": (
        "send a; send b"
    ),
    "[ -f x ] && lava-send a || lava-send b": "(send a | send b)",
    "[ 2 -lt 10 ] && lava-send a; [ 1+1 -eq 2 ] && lava-send b; :": "send a; (send b | -)",
    "! foo && lava-send a": "?foo; (send a | -)",
    "! true | false; lava-send a": "send a",
    "true | false || lava-send a": "send a",
    "foo || exit 1\nlava-send a": "?foo; send a",
    "foo || exit $?\nlava-send a": "?foo; send a",
    "foo || { lava-send bad; exit 1; }; lava-send a": ("{?foo; (- | send bad; ^1!); send a}"),
    "foo || exit 0; lava-send a": "{?foo; (- | ^1); send a}",
    "lava-wait a || lava-test-raise a; lava-send b": "{wait a; send b}",
    "systemctl start x || exit 1; lava-send a": "?systemctl; send a",
    "foo\nif [ $? -ne 0 ]; then lava-send bad; fi": "?foo; (send bad | -)",
    "exit $U; lava-send a": "{^1}",
    "set +e; false; lava-send a; set -e; false; lava-send b": "{send a; ^1!}",
    "set +e; if foo; then set -e; fi; false; lava-send a": "{?foo; (^1 | -); send a}",
    "set -euo pipefail; lava-send $#; false | true; lava-send a": "{send 0; ^1!}",
    "false | true; lava-send a": "send a",
    "lava-send $(lava-group nobody); lava-send b": "{send !id; ^1!}",
    "X=$(lava-group nobody); lava-send b": "{^1!}",
    "X=$(false) || lava-send b": "send b",
}
"""Conditions, and what ends a script."""

LOOPS: Mapping[str, str] = {
    "for i in 1 2; do\nlava-sync r-$i\ndone": "sync r-1; sync r-2",
    "for i in $(seq 2); do lava-send $i; done; lava-send x$i": "send 1; send 2; send x2",
    "for i in $U; do lava-send a$i; done": "(send a…)*",
    "for f in *.sh; do lava-send a; done": "(send a)*",
    "for i in {1..3}; do lava-send $i; done": "(send …)*",
    'a=(p q); for i in "${a[@]}"; do lava-send $i; done': "(send …)*",
    "IFS=,; L=a,b; for i in $L; do lava-send $i; done": "(send …)*",
    "G='*.sh'; for i in $G; do lava-send $i; done": "(send …)*",
    "for i in $(lava-group client); do lava-wait up-$i; done": "wait up-…",
    "for i in $(lava-vland-names); do lava-wait up-$i; done": "wait up-…",
    "for i in $(lava-vland-self); do lava-test-case $i --result pass; done; lava-send b": "send b",
    "lava-vland-tags | while read l; do lava-send $l; done; lava-send b": "(send …)*; send b",
    "for r in $(lava-role list); do lava-wait $r; done": "wait server; wait client; wait client",
    "n=0; while [ $n -lt 2 ]; do lava-send a$n; n=$((n+1)); done": "send a0; send a1",
    "n=0; until [ $n -eq 2 ]; do lava-send a$n; n=$((n+1)); done": "send a0; send a1",
    "n=0; while [ $n -lt 2 ]; do lava-send a$n; : $((n+=1)); done": "send a0; (send a…)*",
    "while foo; do lava-send a; done; lava-send b": "?foo; (send a; ?foo)*; send b",
    "while read l; do lava-send $l; done < file": "(send …)*",
    "for i in $U; do lava-send a & wait $!; done; lava-send b": (
        "(&(send a); (join | -))*; send b"
    ),
    "if while foo; do false; done; then lava-send a; fi": "?foo; ?while; (send a | -)",
    "if while foo; do true; done; then lava-send a; fi": "?foo; ?while; send a",
    "n=; until [ $n ]; do n=1; false; done || lava-send a": "send a",
    "while true; do lava-send a; sleep 1; done; lava-send b": "send a; <endless>",
    "while true; do foo && break; lava-send a; done; lava-send b": (
        "{{{?foo; (^2 | -); send a}; ^1}; send b}"
    ),
    "while true; do if foo; then lava-send a; fi; bar && break; done": (
        "{{{?foo; (send a | -); ?bar; (^2 | -)}; ({?foo; (send a | -); ?bar; (^2 | -)})*; ^1}}"
    ),
    "while true; do foo && exit 0; done; lava-send b": "{{{?foo; (^3 | -)}; ^2}}",
    "for i in 1 2; do for j in a b; do lava-send $i$j; continue 2; done; done": (
        "{{{{{send 1a; ^3}}}; {{{send 2a; ^3}}}}}"
    ),
    "for i in 1 2; do for j in a b; do lava-send $i$j; break 2; done; done": (
        "{{{{{send 1a; ^4}}}}}"
    ),
    "for i in 1; do break 9; done; lava-send a": "send a",
    "for i in 1; do (for j in 1; do break 2; done); done": "{{{{{{<unparsed>; ^2}}}}}}",
    "for i in 1; do break $U; done": "{{{<unparsed>; ^2}}}",
    "for i in 1 2; do (break; lava-send a); lava-send b; done": (
        "<unparsed>; send a; send b; <unparsed>; send a; send b"
    ),
    "n=1; f() { n=2; }; for i in $U; do lava-send a$n; f; done; lava-send b$n": (
        "(send a…)*; send b…"
    ),
    "set -- a b; for i in $U; do lava-send x$1; shift; done": "(send x…)*",
    "for i in $U; do cd x; done; ./y.sh": "<unseen>",
    "select x in a b; do lava-send $x; done": "(send …)*",
    "for ((i=0; i<2; i++)); do lava-send $i; done": "(send …)*",
    "i=0; while ((i < 2)); do lava-send a$i; ((i++)); done": "(send a…)*",
}
"""Loops."""

FUNCTIONS: Mapping[str, str] = {
    "f() { lava-send $1; }; f a; f b": "send a; send b",
    "f() { foo && return 0; lava-send a; }; f; lava-send b": "{{?foo; (^1 | -); send a}; send b}",
    "f() { return 1; }; f || lava-send a": "send a",
    "f() { return $U; }; f && lava-send a": "(send a | -)",
    "X=a; f() { local X=b; lava-send $X; }; f; lava-send $X": "send b; send a",
    "X=a; f() { X=b; }; f; lava-send $X": "send b",
    'f() { "$@"; }; f lava-wait a': "wait a",
    "f() { lava-send x$1 k=$2 n=$#; }; f $U b; f a-$U b; f a": (
        "send x… k=… n=…; send xa-… k=b n=2; send xa k= n=1"
    ),
    "set -- $U; lava-send x$2-$#": "send x…-…",
    "set -- a b; shift; lava-send $1; set -- c; lava-send $1": "send b; send c",
    "if foo; then f() { lava-send a; }; else f() { lava-send b; }; fi; f": (
        "?foo; (send a | send b)"
    ),
    "foo || f() { lava-send a; }; f; bar": "?foo; (?f | send a); ?bar",
    "f() { f; }; f": "<bound>",
    "lava-send() { echo; }; lava-send a; command lava-send b": "send b",
    "type f; command -v lava-send; alias s='lava-send a'": "?type; <unseen>",
    "bye() { lava-send bye; }; trap bye EXIT; lava-wait a; exit 0; lava-send b": (
        "{wait a; ^1}; send bye"
    ),
    "trap 'lava-send bye' EXIT; trap - EXIT; lava-wait a": "wait a",
    "trap 'lava-send bye' EXIT; (lava-send a); exit 0": "{send a; ^1}; send bye",
    "trap 'lava-send bye' EXIT; (lava-send a)": "{send a; {send bye; ^4!}}",
    "trap 'lava-send bye' INT; lava-wait a": "<unseen>; wait a",
    "if foo; then trap 'lava-send bye' EXIT; fi": "?foo; <unseen>",
    "eval 'lava-send a'; eval \"lava-send $U\"": "send a; <unseen>",
    "sh -c 'lava-send $0-$1' x y; sh -ec 'false; lava-send a' || lava-send b": ("send x-y; send b"),
    "X=a; export Y=b; sh -c 'lava-send q$X; lava-send $Y'": "send q…; send b",
    "sh -c 'lava-send a; exit 3'; lava-send b": "{{send a; ^1!}; ^1!}",
    "bash -s <<'E'\nlava-send a$(lava-role)\nE": "send aserver",
    "sh <<E\nlava-send $U\nE": "<unseen>",
    "exec foo; lava-send a": "{?exec; ^1}",
    "exec lava-send a; lava-send b": "{send a; ^1}",
    "kill $$; lava-send a": "{^1!}",
}
"""Functions, traps, and other shells."""

CONSOLE: Mapping[str, str] = {
    "lava-wait a | tee log": "wait a",
    "lava-wait a | grep x": "<console>",
    "lava-send a > log; lava-send b >&2; lava-send c 2> log": "<console>; send b; send c",
    "lava-wait a < f; lava-send b < f": "<console>; send b",
    "lava-send a && echo b > log": "send a",
    "lava-send a | cat > log": "<console>",
    "foo > log || lava-send a": "?foo; (- | send a)",
    "exec > log; lava-send a": "<console>",
    "{ lava-send a; } > /dev/console": "send a",
    "cat > x <<'E'\nlava-send a\nE\nlava-send b": "send b",
    "cat <<E\n$(lava-send a)\nE": "<console>",
    "cat <<E && lava-send a\nx\nE": "(send a | -)",
    "foo <<E\nlava-send a\nE": "<unseen>; ?foo",
    "foo && bar <<E || lava-send a\nE": "?foo; (?bar; (- | send a) | send a)",
    "curl http://x | sh": "<unseen>",
    "timeout 9 lava-wait a; timeout -k 5 9 lava-send b; timeout --foreground 9 lava-wait c": (
        "<console>; send b; wait c"
    ),
    "nohup lava-send a; setsid lava-wait a": "<console>; <console>",
    "sudo lava-send a; sudo xargs lava-send; sudo -u x foo": "<unseen>; <unseen>; ?sudo",
    "env X=1 lava-send a; nice -n 5 lava-send b; time lava-wait c": "send a; send b; wait c",
    "export I=a; env I=b sh -c 'lava-wait $I'; env -i sh -c 'lava-wait x$I'; lava-wait $I": (
        "wait b; wait x…; wait a"
    ),
    "(sleep 5; lava-send a) &\nlava-wait b\nwait": "&(send a); wait b; join",
    "lava-wait a &": "&(<console>)",
    "foo & lava-send a; wait": "?foo; send a",
    "(lava-send a) & P=$!; (lava-send b) & wait $P; wait": (
        "&(send a); &(send b); (join | -); join"
    ),
    "(lava-send a) & kill $!; wait": "&(send a); (join | -)",
    "(lava-send a) & (wait)": "&(send a)",
    "lava-background-process-start p --cmd 'lava-send a'; wait": "&(send a)",
    "lava-test-case x --shell lava-wait a": "wait a",
    "lava-test-case x --shell 'lava-send a && foo || false'; lava-send b": ("send a; ?foo; send b"),
    "lava-test-case x --shell false; lava-send b": "send b",
    "lava-test-case x --result pass; lava-send b": "send b",
}
"""Redirections, pipes, what runs beside the script, and helpers that run commands."""

ALL = {**STEPS, **WORDS, **BRANCHES, **LOOPS, **FUNCTIONS, **CONSOLE}
