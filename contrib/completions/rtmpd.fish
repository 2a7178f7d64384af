# Completion of rtmpd for fish. Made by `rtmpd --generate fish`; do not edit.
complete -c rtmpd -f
complete -c rtmpd -s p -l port -x -d 'RTMP port; 0 picks a free one'
complete -c rtmpd -l http-port -x -a '0 8080 off' -d 'HTTP port; 0 picks a free one, "off" disables'
complete -c rtmpd -s b -l bind -x -a '0.0.0.0 127.0.0.1' -d 'address to listen on'
complete -c rtmpd -s s -l chunk-size -x -d 'size of outgoing chunks, 128..=65536'
complete -c rtmpd -l batch-ms -x -d 'frames wait so long to leave together, 0..=100'
complete -c rtmpd -l record -x -d 'record every stream below this directory'
complete -c rtmpd -l config -r -F -d 'TOML file; flags given on the command line win'
complete -c rtmpd -l check -d 'read the configuration, print it whole, exit'
complete -c rtmpd -s v -l verbose -d 'more log (repeatable); RUST_LOG wins where set'
complete -c rtmpd -l generate -x -a 'man bash zsh fish' -d 'print the man page (man) or completion (bash, zsh, fish), exit'
complete -c rtmpd -s h -l help -d 'print this help'
complete -c rtmpd -s V -l version -d 'print the version'
