# Completion of unitctl for bash: verbs and options by --help, units and jobs by asking the daemon.

_unitctl() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} verb= word planning=
    local -a where=()
    local index
    for ((index = 1; index < COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        case $word in
            --runtime-dir|--bus|-H|--host) where+=("$word" "${COMP_WORDS[index+1]}"); ((index++)) ;;
            --runtime-dir=*|--bus=*|--user|--system) where+=("$word") ;;
            -t|-p|-P|-s|-n|-o|-S|--type|--state|--property|--signal|--lines|--output|--since|--job-mode|--kill-whom) ((index++)) ;;
            -*) ;;
            plan) [[ -n $verb ]] || planning=1 ;;
            *) verb=${verb:-$word} ;;
        esac
    done

    case $previous in
        -t|--type) COMPREPLY=($(compgen -W 'service socket target device mount automount swap timer path slice scope' -- "$current")); return ;;
        --state) COMPREPLY=($(compgen -W 'active inactive failed activating deactivating loaded not-found bad-setting masked' -- "$current")); return ;;
        -s|--signal) COMPREPLY=($(compgen -A signal -- "$current")); return ;;
        -o|--output) COMPREPLY=($(compgen -W 'json json-pretty short cat' -- "$current")); return ;;
        --job-mode) COMPREPLY=($(compgen -W 'fail replace replace-irreversibly isolate flush ignore-dependencies ignore-requirements triggering' -- "$current")); return ;;
        --kill-whom) COMPREPLY=($(compgen -W 'all main control' -- "$current")); return ;;
        --runtime-dir) COMPREPLY=($(compgen -d -- "$current")); return ;;
    esac

    if [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W '--help --version --system --user --host --runtime-dir --bus --type --state --failed
            --all --full --property --value --reverse --before --after --job-mode --show-transaction --kill-whom --signal
            --quiet --wait --dry-run --no-block --no-legend --no-pager --plain --force --follow --lines --output --since' -- "$current"))
        return
    fi

    if [[ -n $planning && -z $verb ]]; then
        COMPREPLY=($(compgen -W 'start stop restart try-restart reload reload-or-restart try-reload-or-restart isolate
            poweroff reboot halt kexec exit' -- "$current"))
        return
    fi
    case $verb in
        '') COMPREPLY=($(compgen -W "$(unitctl --help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p')" -- "$current")) ;;
        cancel) COMPREPLY=($(compgen -W "$(unitctl "${where[@]}" --no-legend list-jobs 2>/dev/null | sed 's/^ *\([0-9]*\).*/\1/')" -- "$current")) ;;
        list-jobs|last-shutdown|orphans|is-system-running|get-default|daemon-reload|daemon-reexec|poweroff|reboot|halt|exit) ;;
        *)
            COMPREPLY=($(compgen -W "$({
                unitctl "${where[@]}" --no-legend --plain --all list-units
                unitctl "${where[@]}" --no-legend list-unit-files
            } 2>/dev/null | sed 's/ .*//' | sort -u)" -- "$current"))
            ;;
    esac
}
complete -F _unitctl unitctl
