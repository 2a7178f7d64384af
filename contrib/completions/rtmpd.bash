# Completion of rtmpd for bash. Made by `rtmpd --generate bash`; do not edit.
_rtmpd() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
  if [[ $word == = ]]; then
    word=''
  elif [[ $before == = && $COMP_CWORD -ge 2 ]]; then
    before=${COMP_WORDS[COMP_CWORD-2]}
  fi
  case $before in
    -p|--port) COMPREPLY=(); return ;;
    --http-port) mapfile -t COMPREPLY < <(compgen -W '0 8080 off' -- "$word"); return ;;
    -b|--bind) mapfile -t COMPREPLY < <(compgen -W '0.0.0.0 127.0.0.1' -- "$word"); return ;;
    -s|--chunk-size) COMPREPLY=(); return ;;
    --batch-ms) COMPREPLY=(); return ;;
    --record) COMPREPLY=(); return ;;
    --config) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    --generate) mapfile -t COMPREPLY < <(compgen -W 'man bash zsh fish' -- "$word"); return ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W '-p --port --http-port -b --bind -s --chunk-size --batch-ms --record --test-stream --config --check -v --verbose --generate -h --help -V --version' -- "$word")
}
complete -F _rtmpd rtmpd
